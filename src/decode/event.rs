//! [`Event`] and [`EventRef`]: what a stream says, owned and lent.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::LastEventId;

/// The type of an event that names none (HTML §9.2.6, dispatch).
pub(super) const MESSAGE: &str = "message";

/// One decoded event, lent by the [`Decoder`](crate::Decoder) until the next call.
///
/// ```
/// use core::num::NonZeroUsize;
/// use sansio_sse::{Decoded, Decoder};
///
/// let mut decoder = Decoder::new(NonZeroUsize::MAX);
/// let Some(Ok(Decoded::Event(event))) = decoder.decode(&mut &b"data: a\ndata: b\n\n"[..]) else { panic!() };
/// assert_eq!((event.event_type, event.data, event.last_event_id), ("message", "a\nb", None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef<'a> {
    /// The `event` field, or `message` where it is absent or empty.
    pub event_type: &'a str,
    /// The `data` fields, joined by line feeds. May be empty.
    pub data: &'a str,
    /// The last id that the stream set, in this event or in an earlier one; `None` if there was none, or if an
    /// empty `id` field took it back.
    pub last_event_id: Option<&'a LastEventId>,
}

impl EventRef<'_> {
    /// Copies the event, to keep it past the next call. Copies no type that is `message`.
    ///
    /// ```
    /// use sansio_sse::EventRef;
    ///
    /// let lent = EventRef { event_type: "message", data: "hello", last_event_id: None };
    /// assert_eq!(lent.to_event().data, "hello");
    /// ```
    #[must_use]
    pub fn to_event(self) -> Event {
        Event {
            event_type: if self.event_type == MESSAGE {
                Cow::Borrowed(MESSAGE)
            } else {
                Cow::Owned(String::from(self.event_type))
            },
            data: String::from(self.data),
            last_event_id: self.last_event_id.cloned(),
        }
    }
}

/// One decoded event that owns its text; see [`EventRef`] for the fields.
///
/// ```
/// use sansio_sse::{Event, EventRef};
///
/// let event = Event::from(EventRef { event_type: "tick", data: "1", last_event_id: None });
/// assert_eq!(event.as_ref().event_type, "tick");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event` field, or `message`.
    pub event_type: Cow<'static, str>,
    /// The `data` fields, joined by line feeds.
    pub data: String,
    /// The last id that the stream set.
    pub last_event_id: Option<LastEventId>,
}

impl Event {
    /// The borrowed form, to compare or to pass on.
    ///
    /// ```
    /// use sansio_sse::EventRef;
    ///
    /// let lent = EventRef { event_type: "message", data: "", last_event_id: None };
    /// assert_eq!(lent.to_event().as_ref(), lent);
    /// ```
    #[must_use]
    pub fn as_ref(&self) -> EventRef<'_> {
        EventRef {
            event_type: &self.event_type,
            data: &self.data,
            last_event_id: self.last_event_id.as_ref(),
        }
    }
}

impl From<EventRef<'_>> for Event {
    fn from(lent: EventRef<'_>) -> Event {
        lent.to_event()
    }
}
