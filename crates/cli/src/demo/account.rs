//! The demo's accounts: what was pushed to a queue and what became of it, and whether both agree.

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use stanchion_client::{Client, PushStatus, Stats};

/// One queue.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) queue: String,
    /// Pushes that were answered.
    pushes: u64,
    /// Those that added a job.
    pub(super) added: u64,
    duplicates: u64,
    /// Those dropped for a newer root at once; jobs superseded later are only in the statistics.
    superseded_at_push: u64,
    /// As the server counts.
    stats: Stats,
}

impl Account {
    pub(super) fn new(queue: &str) -> Account {
        Account { queue: queue.to_owned(), ..Account::default() }
    }

    /// A push was answered.
    pub(super) fn count(&mut self, status: PushStatus) {
        self.pushes += 1;
        match status {
            PushStatus::Ready | PushStatus::Delayed | PushStatus::Replaced => self.added += 1,
            PushStatus::Duplicate => self.duplicates += 1,
            PushStatus::Superseded => self.superseded_at_push += 1,
        }
    }

    /// Asks the server.
    pub(super) async fn look(&mut self, client: &Client) -> Result<()> {
        let stats = client.stats(&self.queue).await?;
        self.stats = stats.with_context(|| format!("the queue {} is gone", self.queue))?;
        Ok(())
    }

    /// Jobs that will not run again.
    pub(super) fn finished(&self) -> u64 {
        self.stats.acked + self.stats.died + self.stats.superseded.saturating_sub(self.superseded_at_push)
    }

    /// Whether nothing waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.stats.ready + self.stats.delayed + self.stats.claimed == 0
    }

    fn mismatches(&self) -> Vec<String> {
        let stats = &self.stats;
        let accounted = stats.duplicates + stats.superseded + stats.acked + stats.died;
        let pairs = [
            ("pushes and what became of them", self.pushes, accounted),
            ("jobs added, as answered and as counted", self.added, stats.pushed),
            ("duplicates, as answered and as counted", self.duplicates, stats.duplicates),
            ("jobs added and jobs finished", self.added, self.finished()),
            ("jobs that died and jobs kept as dead", stats.died, stats.dead),
            ("claims and reports", stats.claims, stats.acked + stats.nacked + stats.released + stats.lapsed),
            ("stale acks", 0, stats.stale_acks),
        ];
        let wrong = pairs.into_iter().filter(|(_, one, other)| one != other);
        wrong.map(|(what, one, other)| format!("{}: {what}: {one} and {other}", self.queue)).collect()
    }
}

/// Everything that does not agree; `runs` is how many times the script ran.
pub(super) fn mismatches(accounts: &[Account], runs: u64) -> Vec<String> {
    let mut wrong: Vec<String> = accounts.iter().flat_map(Account::mismatches).collect();
    let reported: u64 = accounts.iter().map(|account| account.stats.acked + account.stats.nacked).sum();
    if runs != reported {
        wrong.push(format!("processes that ran and jobs reported: {runs} and {reported}"));
    }
    wrong
}

/// A line per queue, and their sums.
pub(super) fn table(accounts: &[Account]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "queue",
        "pushes",
        "duplicates\ndropped",
        "superseded",
        "done",
        "retried",
        "dead",
        "wait ms\np50 / p99",
        "run ms\np50 / p99",
    ]);
    for account in accounts {
        let stats = &account.stats;
        let mut row = vec![account.queue.clone()];
        row.extend(counts(account).map(|count| count.to_string()));
        row.push(percentiles(stats.wait_p50_ms, stats.wait_p99_ms));
        row.push(percentiles(stats.run_p50_ms, stats.run_p99_ms));
        table.add_row(row);
    }
    let mut sums = [0; 6];
    for account in accounts {
        for (sum, count) in sums.iter_mut().zip(counts(account)) {
            *sum += count;
        }
    }
    table.add_row(std::iter::once("all".to_owned()).chain(sums.map(|sum| sum.to_string())));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Pushes, duplicates, superseded, done, retried, dead.
fn counts(account: &Account) -> [u64; 6] {
    let stats = &account.stats;
    let retried = stats.nacked.saturating_sub(stats.died);
    [account.pushes, stats.duplicates, stats.superseded, stats.acked, retried, stats.died]
}

fn percentiles(p50_ms: Option<u64>, p99_ms: Option<u64>) -> String {
    let show = |ms: Option<u64>| ms.map_or("–".to_owned(), |ms| ms.to_string());
    format!("{} / {}", show(p50_ms), show(p99_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let mut account = Account::new("q");
        let statuses = [PushStatus::Ready, PushStatus::Ready, PushStatus::Ready, PushStatus::Duplicate];
        for status in statuses.into_iter().chain([PushStatus::Superseded]) {
            account.count(status);
        }
        account.stats = Stats {
            pushed: 3,
            duplicates: 1,
            superseded: 2, // one at its push, one later
            claims: 3,
            acked: 1,
            nacked: 2,
            died: 1,
            dead: 1,
            ..Stats::default()
        };
        account
    }

    #[test]
    fn accounts_that_agree_say_nothing() {
        assert_eq!(mismatches(&[account()], 3), Vec::<String>::new());
        assert!(account().is_empty());
        assert_eq!(account().finished(), 3);
    }

    #[test]
    fn a_lost_job_and_a_job_run_twice_are_noticed() {
        let mut lost = account();
        lost.stats.acked = 0;
        let wrong = mismatches(&[lost], 3).join("\n");
        assert!(wrong.contains("q: pushes and what became of them: 5 and 4"), "{wrong}");
        let wrong = mismatches(&[account()], 4).join("\n");
        assert_eq!(wrong, "processes that ran and jobs reported: 4 and 3");
    }

    #[test]
    fn the_table_has_sums() {
        let text = table(&[account(), account()]).to_string();
        let sums: Vec<&str> =
            text.lines().find(|line| line.contains("all")).unwrap().split_whitespace().collect();
        assert_eq!(sums, ["all", "10", "2", "4", "2", "2", "2"]);
    }
}
