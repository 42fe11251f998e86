//! Tells the server every few seconds that the runner is alive, and who it is; and does what the server's operators
//! want: be quiet, go on, stop. At the end it says goodbye, so that nobody waits for it.
//!
//! A server that is away hears nothing, and needs nothing: the first beat after it is back tells it everything.

use stanchion_client::{Beat, Error, Order};
use tokio::time::MissedTickBehavior;

use crate::group::Group;
use crate::limits::{BEAT_EVERY, BEAT_GROUPS_BYTES_MAX, BYE_MAX};
use crate::runner::Shared;

/// Beats for as long as it is polled.
pub(crate) async fn keep_beating(shared: &Shared) {
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one was sent before the first claim.
    ticks.tick().await;
    let mut refused = None;
    loop {
        ticks.tick().await;
        let groups = shared.groups();
        match beat(shared, groups.iter().map(|group| &**group)).await {
            Ok(()) => refused = None,
            Err(error) if error.is_transient() => tracing::debug!(%error, "the server hears no beat"),
            Err(error) => {
                // Once, until it is another one: the runner works without it.
                let text = error.to_string();
                if refused.as_ref() != Some(&text) {
                    tracing::warn!(
                        error = text,
                        "the server refuses the runner's beat; operators can't see it"
                    );
                    refused = Some(text);
                }
            }
        }
    }
}

/// The first beat, before the first claim: so the server knows the version of each job's runner. A server that is
/// away is not waited for.
pub(crate) async fn first_beat(shared: &Shared, groups: &[Group]) {
    match tokio::time::timeout(BEAT_EVERY, beat(shared, groups.iter())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the server hears no first beat"),
        Err(_) => tracing::debug!("the server does not answer the first beat"),
    }
}

/// The last word, once everything is reported. What may still be claimed under this name comes back at once, but
/// only if no other process has taken the name meanwhile.
pub(crate) async fn bye(shared: &Shared) {
    let settings = shared.settings();
    let host = host_name();
    let process = Some((host.as_str(), std::process::id()));
    match tokio::time::timeout(BYE_MAX, shared.client.bye(&settings.name, process)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(jobs)) => tracing::warn!(jobs, "jobs that could not be reported were given back"),
        Ok(Err(error)) => tracing::debug!(%error, "the server hears no goodbye"),
        Err(_) => tracing::debug!("the server does not answer the goodbye"),
    }
}

async fn beat<'a>(shared: &Shared, groups: impl Iterator<Item = &'a Group> + Clone) -> Result<(), Error> {
    let settings = shared.settings();
    let mut beat = Beat::new()
        .host(host_name())
        .pid(std::process::id())
        .slots(groups.clone().map(|group| group.slots.count()).sum())
        .jobs(u32::try_from(shared.running.len()).unwrap_or(u32::MAX))
        .groups(listed(groups.map(|group| group.name.as_str())));
    if let Some(version) = &settings.version {
        beat = beat.version(version);
    }
    obey(shared, shared.client.beat(&settings.name, &beat).await?);
    Ok(())
}

fn obey(shared: &Shared, order: Order) {
    if shared.quiet.set(order == Order::Quiet) {
        match order {
            Order::Quiet => {
                tracing::info!("the server wants quiet: nothing is claimed until it says otherwise")
            }
            Order::Ok | Order::Stop => tracing::info!("the server wants quiet no longer"),
        }
    }
    if order == Order::Stop && !shared.stop.is_stopping() {
        tracing::info!("the server wants the runner to stop");
        shared.stop.stop();
    }
}

/// The names, as many as there is room for.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for name in names {
        let separator = if list.is_empty() { "" } else { " " };
        if list.len() + separator.len() + name.len() > BEAT_GROUPS_BYTES_MAX {
            break;
        }
        list.push_str(separator);
        list.push_str(name);
    }
    list
}

/// What the machine calls itself.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_groups_are_named_as_there_is_room_for() {
        assert_eq!(listed(["basic", "transcode"].into_iter()), "basic transcode");
        assert_eq!(listed([].into_iter()), "");
        let long = "g".repeat(BEAT_GROUPS_BYTES_MAX);
        assert_eq!(listed(["a", &long].into_iter()), "a");
        assert_eq!(listed([long.as_str()].into_iter()), long);
    }
}
