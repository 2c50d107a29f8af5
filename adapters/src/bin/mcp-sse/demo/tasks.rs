//! [`Tasks`]: calls whose result is fetched later, by the extension `io.modelcontextprotocol/tasks` (SEP-2663).
//!
//! Nothing runs for a task of the demo: what it has come to follows from the time that has passed and from what the
//! client has answered, and is worked out when somebody asks.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sansio_sse::mcp::Principal;
use serde_json::{Map, Value, json};

use super::call::{Call, Fault, Outcome, Question, Stop};

/// The extension.
pub(super) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// How long a task is kept, from its beginning.
const KEPT: Duration = Duration::from_secs(300);

/// How often a client had better ask.
const POLL_MS: u64 = 200;

/// Tasks at once.
const MAX_TASKS: usize = 1_000;

/// What a task comes to, from what its client has answered: a result, or an error.
type Work = Box<dyn Fn(&Map<String, Value>) -> Result<Value, Value> + Send>;

/// The tasks of the demo, by id.
#[derive(Default)]
pub(super) struct Tasks(Mutex<BTreeMap<String, Task>>);

struct Task {
    owner: Principal,
    began: Instant,
    created: SystemTime,
    /// When its stage began.
    since: Instant,
    stage: Stage,
    takes: Duration,
    work: Work,
    answers: Map<String, Value>,
}

enum Stage {
    /// The client is to answer these first.
    Asking(Map<String, Value>),
    Working,
    Cancelled,
}

impl Task {
    /// Its place in time, and what there is to say of it.
    fn status(&self) -> (Instant, &'static str, Option<(&'static str, Value)>) {
        match &self.stage {
            Stage::Cancelled => (self.since, "cancelled", None),
            Stage::Asking(missing) => {
                (self.since, "input_required", Some(("inputRequests", missing.clone().into())))
            }
            Stage::Working if self.since.elapsed() < self.takes => (self.since, "working", None),
            Stage::Working => match (self.work)(&self.answers) {
                Ok(result) => (self.since + self.takes, "completed", Some(("result", result))),
                Err(error) => (self.since + self.takes, "failed", Some(("error", error))),
            },
        }
    }

    fn describe(&self, id: &str) -> Value {
        let (since, status, detail) = self.status();
        let updated = self.created + since.duration_since(self.began);
        let mut described = json!({
            "taskId": id,
            "status": status,
            "createdAt": timestamp(self.created),
            "lastUpdatedAt": timestamp(updated),
            "ttlMs": KEPT.as_secs() * 1000,
            "pollIntervalMs": POLL_MS,
        });
        if let Some((name, detail)) = detail {
            described[name] = detail;
        }
        described
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }
}

impl Tasks {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a task, which takes so long once the client has answered the questions.
    pub(super) fn begin<P>(
        &self,
        call: &Call<'_, P>,
        questions: Vec<Question>,
        takes: Duration,
        work: Work,
    ) -> Outcome {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Fault::internal(error.to_string()))?;
        let id = random.iter().fold(String::new(), |mut id, byte| {
            // Writing to a text can't fail.
            let _ = write!(id, "{byte:02x}");
            id
        });
        let mut tasks = self.open();
        tasks.retain(|_, task| task.began.elapsed() < KEPT);
        if tasks.len() >= MAX_TASKS {
            return Err(Fault::internal("too many tasks"));
        }
        let asked: Map<_, _> = questions.into_iter().map(Question::into_request).collect();
        let stage = if asked.is_empty() { Stage::Working } else { Stage::Asking(asked) };
        let (owner, answers, began) = (call.principal.clone(), call.answers.clone(), Instant::now());
        let task =
            Task { owner, began, created: SystemTime::now(), since: began, stage, takes, work, answers };
        let mut created = task.describe(&id);
        // What it asks for, or came to at once, is told to those who ask after it.
        if let Some(created) = created.as_object_mut() {
            created.retain(|name, _| !["inputRequests", "result", "error"].contains(&name.as_str()));
        }
        created["resultType"] = "task".into();
        created["status"] = "working".into();
        tasks.insert(id, task);
        Ok(created)
    }

    /// `tasks/get`.
    pub(super) fn get<P>(&self, call: &Call<'_, P>) -> Outcome {
        self.with(call, |id, task| Ok(task.describe(id)))
    }

    /// `tasks/update`: the client answers what a task has asked, or some of it.
    pub(super) fn update<P>(&self, call: &Call<'_, P>) -> Outcome {
        let Value::Object(responses) = &call.params["inputResponses"] else {
            return Err(Fault::params("inputResponses must be an object"));
        };
        self.with(call, |_, task| {
            if let Stage::Asking(missing) = &mut task.stage {
                for (key, response) in responses {
                    if missing.remove(key).is_some() {
                        task.answers.insert(key.clone(), response.clone());
                    }
                }
                if missing.is_empty() {
                    task.enter(Stage::Working);
                }
            }
            Ok(json!({}))
        })
    }

    /// `tasks/cancel`. What is over stays what it is.
    pub(super) fn cancel<P>(&self, call: &Call<'_, P>) -> Outcome {
        self.with(call, |_, task| {
            if matches!(task.status().1, "working" | "input_required") {
                task.enter(Stage::Cancelled);
            }
            Ok(json!({}))
        })
    }

    /// To anybody but its owner there is no such task.
    fn with<P>(&self, call: &Call<'_, P>, use_it: impl FnOnce(&str, &mut Task) -> Outcome) -> Outcome {
        require(call)?;
        let id = call.params["taskId"].as_str();
        let id = id.ok_or_else(|| Fault::params("taskId must be a string"))?;
        let mut tasks = self.open();
        let task = tasks.get_mut(id).filter(|task| task.began.elapsed() < KEPT);
        let task = task.filter(|task| task.owner == *call.principal);
        use_it(id, task.ok_or_else(|| Fault::params("no such task"))?)
    }
}

/// Whether the client understands tasks.
pub(super) fn are_known<P>(call: &Call<'_, P>) -> bool {
    let capabilities = &call.params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    call.session.is_none() && capabilities["extensions"][EXTENSION].is_object()
}

/// Ends here if it does not.
pub(super) fn require<P>(call: &Call<'_, P>) -> Result<(), Stop> {
    if are_known(call) { Ok(()) } else { Err(Fault::no_extension(EXTENSION)) }
}

/// RFC 3339, in UTC: days to a date by the calendar's cycle of 400 years, each year begun in March.
fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let day = day - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = 400 * cycle + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::{Duration, UNIX_EPOCH, timestamp};

    #[test]
    fn a_moment_has_its_date() {
        for (millis, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(millis)), date);
        }
    }
}
