//! Real programs run as clients (curl, openssl …), with a deadline and their output kept.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use super::wait;

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output of a program that succeeded.
    ///
    /// # Panics
    /// When it did not succeed.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a program to its end without input.
///
/// # Panics
/// When it is not installed or does not end within [`wait::DEADLINE`].
#[track_caller]
pub fn run<S: AsRef<str>>(program: &str, arguments: &[S]) -> Output {
    run_with_input(program, arguments, b"")
}

/// As [`run`], with bytes on its standard input.
///
/// # Panics
/// As [`run`] does.
#[track_caller]
pub fn run_with_input<S: AsRef<str>>(program: &str, arguments: &[S], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(AsRef::as_ref));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{program} is not installed, so this test cannot run: scripts/setup installs it")
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
    if let Some(mut stdin) = child.stdin.take() {
        // A program may end without reading its input.
        let _ = stdin.write_all(input);
    }
    let status = end_of(&mut child, program);
    Output { status, stdout: stdout.join().expect("stdout"), stderr: stderr.join().expect("stderr") }
}

/// Waits for the end of a child, and kills one that does not end.
#[track_caller]
fn end_of(child: &mut Child, program: &str) -> ExitStatus {
    let began = std::time::Instant::now();
    wait::until_some(&format!("{program} ends"), || {
        if began.elapsed() > wait::DEADLINE.mul_f32(0.9) {
            let _ = child.kill();
        }
        child.try_wait().expect("a child's status")
    })
}

fn gather(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("the output of a program");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
