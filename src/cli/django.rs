//! Words that people know from Django's `manage.py` and that mean nothing here.

use super::error::{Error, Exit};

/// What to do instead, for each.
const WORDS: &[(&str, &str)] = &[
    (
        "makemigrations",
        "the migrations come with the program: `chatroom migrate` applies them",
    ),
    (
        "showmigrations",
        "`chatroom migrate --plan` lists what is pending, `--json` also what is applied",
    ),
    (
        "collectstatic",
        "nothing is to be collected: all pages are inside the program",
    ),
    (
        "shell",
        "this version has no shell; `chatroom rooms --help` shows what can be looked at and changed",
    ),
    (
        "dbshell",
        "this version has no equivalent; open the database with `sqlite3` or `psql`, best while the \
         server is stopped",
    ),
    (
        "startapp",
        "there are no apps here; other programs use the API, which `chatroom serve` documents at /docs",
    ),
    (
        "test",
        "the program is tested before it is released; scripts/test in its repository runs the tests",
    ),
    (
        "check",
        "`chatroom migrate --check` checks the schema; every command checks the configuration first",
    ),
    (
        "changepassword",
        "for a superuser: `chatroom createsuperuser --update`; for others this version has no \
         equivalent",
    ),
];

/// The answer to one of Django's words.
pub fn answer(word: &str) -> Option<Error> {
    let (_, instead) = WORDS.iter().find(|(known, _)| *known == word)?;
    let message = format!("there is no `{word}`: chatroom is not a Django project");
    Some(Exit::Usage.hinting(message, *instead))
}
