//! Panics of tasks, which a runtime otherwise keeps to itself.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread's panics noticed from now on.
pub(crate) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            before(panic);
        }));
    });
    PANICKED.set(false);
}

/// Whether anything has panicked on this thread since it was watched.
pub(crate) fn any() -> bool {
    PANICKED.get()
}
