//! Sets of flags and of ACL categories, each a bit with the word that COMMAND INFO shows.

/// Declares a set type whose members are bits with words.
macro_rules! word_set {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $bit:ident = $shift:literal, $word:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $name(u32);

        impl $name {
            /// The empty set.
            pub const NONE: $name = $name(0);
            $($(#[$doc])* pub const $bit: $name = $name(1 << $shift);)*

            /// Each member with its word.
            pub const ALL: &[($name, &str)] = &[$(($name::$bit, $word)),*];

            /// Both sets together.
            pub const fn and(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }

            /// Whether all of `other` is in it.
            #[inline]
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// How many members it has.
            pub const fn len(self) -> usize {
                self.0.count_ones() as usize
            }

            /// Whether it has none.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The words of its members.
            pub fn words(self) -> impl Iterator<Item = &'static str> {
                $name::ALL.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, word)| *word)
            }
        }
    };
}

word_set! {
    /// What a command does to the server, in Redis's words.
    Flags {
        /// It may change what is stored.
        WRITE = 0, "write";
        /// It changes nothing.
        READONLY = 1, "readonly";
        /// It needs memory, so it is refused when there is none left.
        DENYOOM = 2, "denyoom";
        /// It is for operators.
        ADMIN = 3, "admin";
        /// It may not run in a script.
        NOSCRIPT = 4, "noscript";
        /// It may wait.
        BLOCKING = 5, "blocking";
        /// It is answered while the log is recovered.
        LOADING = 6, "loading";
        /// Redis answers it on a stale replica.
        STALE = 7, "stale";
        /// It costs about the same whatever is stored.
        FAST = 8, "fast";
        /// It is answered before AUTH.
        NO_AUTH = 9, "no_auth";
        /// It is refused between MULTI and EXEC.
        NO_MULTI = 10, "no_multi";
        /// Its keys are not at fixed places.
        MOVABLEKEYS = 11, "movablekeys";
        /// It publishes or subscribes.
        PUBSUB = 12, "pubsub";
    }
}

word_set! {
    /// ACL categories: Redis's, and those of queues.
    Categories {
        /// Whatever works on keys as such.
        KEYSPACE = 0, "@keyspace";
        /// Reads.
        READ = 1, "@read";
        /// Writes.
        WRITE = 2, "@write";
        /// For operators.
        ADMIN = 3, "@admin";
        /// Cheap.
        FAST = 4, "@fast";
        /// Not cheap.
        SLOW = 5, "@slow";
        /// May wait.
        BLOCKING = 6, "@blocking";
        /// Can do harm.
        DANGEROUS = 7, "@dangerous";
        /// Connections.
        CONNECTION = 8, "@connection";
        /// MULTI and its like.
        TRANSACTION = 9, "@transaction";
        /// Scripts.
        SCRIPTING = 10, "@scripting";
        /// Whatever works on queues.
        QUEUE = 11, "@queue";
        /// What producers need.
        PUSH = 12, "@push";
        /// What workers need.
        CLAIM = 13, "@claim";
        /// What operators need.
        OPERATE = 14, "@operate";
        /// Publishes and subscribes.
        PUBSUB = 15, "@pubsub";
    }
}
