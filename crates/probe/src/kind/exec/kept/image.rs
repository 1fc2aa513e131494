//! A program with its arguments and variables, as the kernel takes them. Made before a fork, because memory cannot be allocated after it.

use std::{
    ffi::{CString, OsStr},
    io,
    os::unix::ffi::OsStrExt as _,
    process::Command,
};

/// The program, its arguments and its variables. No shell and no search in folders has a part in it.
pub(super) struct Image {
    words: Vec<CString>,
    _variables: Vec<CString>,
    /// The addresses of the words, and 0 behind them.
    argv: Vec<usize>,
    /// The addresses of the variables, and 0 behind them.
    envp: Vec<usize>,
}

impl Image {
    /// Takes the program, the arguments and the variables of a command.
    ///
    /// # Errors
    /// One of them has a byte 0.
    pub(super) fn of(command: &Command) -> io::Result<Self> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<CString> = words.map(|word| text(word.as_bytes())).collect::<io::Result<_>>()?;
        let assign = |name: &OsStr, value: &OsStr| [name.as_bytes(), b"=", value.as_bytes()].concat();
        let variables = command.get_envs().filter_map(|(name, value)| Some(assign(name, value?)));
        let variables: Vec<CString> = variables.map(|one| text(&one)).collect::<io::Result<_>>()?;
        let addresses = |texts: &[CString]| -> Vec<usize> {
            texts.iter().map(|text| text.as_ptr().expose_provenance()).chain([0]).collect()
        };
        let (argv, envp) = (addresses(&words), addresses(&variables));
        Ok(Self { words, _variables: variables, argv, envp })
    }

    /// Makes this process execute the program. Returns the error if it cannot. Allocates nothing.
    pub(super) fn execute(&self) -> io::Error {
        // SAFETY: both lists end with 0, and this value owns the texts whose addresses are in them.
        unsafe { libc::execve(self.words[0].as_ptr(), self.argv.as_ptr().cast(), self.envp.as_ptr().cast()) };
        io::Error::last_os_error()
    }
}
