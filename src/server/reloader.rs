//! The thread that reloads run on.
//!
//! One after another, or two would build on the same predecessor; and always on this thread, since each further one
//! would keep a share of the heap as large as all that a reload needs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs in the order they come. The thread ends when this is dropped.
pub struct Reloader {
    jobs: mpsc::Sender<Job>,
}

impl Reloader {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("reload".into()).spawn(move || {
            for job in inbox {
                // A defect ends its own reload, not those to come; the panic has been printed.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs a job and waits for it; `None` where it panicked.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, outcome) = mpsc::channel();
        // Whoever asked waits below, so that there is always somebody to tell.
        self.jobs.send(Box::new(move || drop(done.send(job())))).ok()?;
        outcome.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_panics_ends_no_other() {
        let reloader = Reloader::start().unwrap();
        assert_eq!(reloader.run(|| -> u8 { panic!("a defect") }), None);
        assert_eq!(reloader.run(|| 7), Some(7));
    }
}
