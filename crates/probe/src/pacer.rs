//! Wakes at a microsecond of the clock. tokio's own timers are a millisecond coarse, and do not count through suspend.

#[cfg(target_os = "linux")]
mod timerfd;
#[cfg(target_os = "linux")]
pub(crate) use timerfd::Timer;

#[cfg(any(not(target_os = "linux"), test))]
mod portable;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Timer;

#[cfg(test)]
mod tests {
    use crate::clock::boot_us;

    macro_rules! never_early {
        ($name:ident, $timer:ty) => {
            #[tokio::test]
            async fn $name() {
                let timer = <$timer>::new().unwrap();
                for wait in [0, 1, 300, 2500, 7000] {
                    let at = boot_us() + wait;
                    timer.until(at).await.unwrap();
                    assert!(boot_us() >= at, "{wait}");
                }
                // One that is given up must not end the next.
                let later = boot_us() + 3000;
                tokio::select! {
                    biased;
                    result = timer.until(boot_us() + 60_000_000) => panic!("{result:?}"),
                    result = async { tokio::time::sleep(std::time::Duration::from_millis(1)).await } => result,
                }
                timer.until(later).await.unwrap();
                assert!(boot_us() >= later);
            }
        };
    }

    #[cfg(target_os = "linux")]
    never_early!(the_kernels_timer_is_never_early, super::timerfd::Timer);
    never_early!(the_portable_timer_is_never_early, super::portable::Timer);
}
