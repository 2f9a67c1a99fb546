//! A clock that ticks every few microseconds and can be awaited: the runtime's own timers have a resolution of 1 ms.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Moments at which requests are due: `start`, `start + period`, and so on, whatever happens in between.
pub(super) struct Pace {
    timer: AsyncFd<OwnedFd>,
    next: Instant,
    period: Duration,
}

impl Pace {
    /// Begins now.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub(super) fn start(period: Duration) -> Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let every = Timespec::try_from(period).ok().context("too long a period")?;
        let setting = Itimerspec { it_interval: every, it_value: every };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
        #[expect(deprecated, reason = "sound for an OwnedFd; its replacement is unsafe code, which is denied here")]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer, next: Instant::now(), period })
    }

    /// Waits for the next tick and returns every moment that has become due, also those of ticks that were missed.
    ///
    /// # Errors
    /// When the timer cannot be read.
    pub(super) async fn due(&mut self) -> Result<Vec<Instant>> {
        loop {
            let mut ready = self.timer.readable().await?;
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
            match read {
                Ok(Ok(_)) => break,
                Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        let (now, mut due) = (Instant::now(), Vec::new());
        while self.next <= now {
            due.push(self.next);
            self.next += self.period;
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_moment_is_due_once_however_late_it_is_asked_for() {
        let start = Instant::now();
        let mut pace = Pace::start(Duration::from_micros(500)).unwrap();
        let mut moments = Vec::new();
        while moments.len() < 40 {
            moments.extend(pace.due().await.unwrap());
            std::thread::sleep(Duration::from_millis(3));
        }
        assert!(moments[0] >= start);
        assert!(moments.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(500)));
    }
}
