//! Which revision a request is of: a table, and laws over every combination.

use sansio_sse::mcp::{BodyFacts, Revision, Revisions, SessionNaming, VersionError, VersionFacts};

const R03: Revision = Revision::V2025_03_26;
const R06: Revision = Revision::V2025_06_18;
const R11: Revision = Revision::V2025_11_25;
const R26: Revision = Revision::V2026_07_28;

#[test]
fn what_differs_between_revisions_is_the_table_of_the_architecture() {
    let row = |revision: Revision| {
        let rules = revision.rules();
        let flags = [
            rules.endpoint_event,
            rules.get_stream,
            rules.resumable,
            rules.primes,
            rules.batches,
            rules.server_requests,
            rules.end_cancels,
            rules.request_metadata,
        ];
        (revision.as_str(), rules.session, flags.map(u8::from))
    };
    assert_eq!(
        Revision::ALL.map(row),
        [
            ("2024-11-05", SessionNaming::Path, [1, 1, 0, 0, 0, 1, 0, 0]),
            ("2025-03-26", SessionNaming::Header, [0, 1, 1, 0, 1, 1, 0, 0]),
            ("2025-06-18", SessionNaming::Header, [0, 1, 1, 0, 0, 1, 0, 0]),
            ("2025-11-25", SessionNaming::Header, [0, 1, 1, 1, 0, 1, 0, 0]),
            ("2026-07-28", SessionNaming::None, [0, 0, 0, 0, 0, 0, 1, 1]),
        ]
    );
    for revision in Revision::ALL {
        assert_eq!((revision.to_string().parse(), revision.is_stateless()), (Ok(revision), revision == R26));
    }
    for text in ["", "2025-11-26", "2025-11-25 ", "DRAFT-2026-v1", "2025-1-25"] {
        assert!(text.parse::<Revision>().is_err(), "{text}");
    }
}

#[test]
fn check_12_each_way_to_say_a_revision_has_its_outcome() {
    let all = Revisions::all();
    let sessions = all.without(R26);
    let stateless = Revisions::none().with(R26);
    let unsupported = |requested: &str| Err(VersionError::Unsupported { requested: requested.into() });
    let request = |meta| BodyFacts::Request { meta };
    let initialize = |proposed, meta| BodyFacts::Initialize { proposed, meta };
    let (get, other) = (BodyFacts::None, BodyFacts::Other);
    for (spoken, header, body, session, expected) in [
        // `initialize` selects what has a session, whatever it proposes.
        (all, None, initialize(Some("2025-03-26"), None), None, Ok(R03)),
        (all, None, initialize(Some("2025-11-25"), None), None, Ok(R11)),
        (all, None, initialize(Some("2024-11-05"), None), None, Ok(R03)),
        (all, None, initialize(Some("2099-01-01"), None), None, Ok(R11)),
        (all, None, initialize(Some("2026-07-28"), None), None, Ok(R11)),
        (all, None, initialize(None, None), None, Ok(R11)),
        (all, Some("2025-06-18"), initialize(Some("2025-11-25"), None), None, Ok(R11)),
        (all, Some("1999-01-01"), initialize(Some("2025-11-25"), None), None, unsupported("1999-01-01")),
        (sessions.without(R11), None, initialize(Some("2025-11-25"), None), None, Ok(R06)),
        (stateless, None, initialize(Some("2025-11-25"), None), None, unsupported("2025-11-25")),
        (stateless, None, initialize(None, None), None, unsupported("none")),
        // In a request of the stateless era it is a method like any other, which does not exist there.
        (all, Some("2026-07-28"), initialize(None, Some("2026-07-28")), None, Ok(R26)),
        (all, Some("2026-07-28"), initialize(Some("2025-11-25"), None), None, Err(VersionError::MissingMeta)),
        // What the session has agreed on, whatever of its era the header names; or the header, or the oldest.
        (all, Some("2025-03-26"), request(None), Some(R11), Ok(R11)),
        (all, Some("2025-11-25"), request(None), Some(R03), Ok(R03)),
        (all, Some("2025-03-26"), get, Some(R11), Ok(R11)),
        (all, Some("2025-03-26"), other, Some(R11), Ok(R11)),
        (all, Some("2025-03-26"), request(None), None, Ok(R03)),
        (all, Some("2025-06-18"), request(None), None, Ok(R06)),
        (all, Some("2025-11-25"), request(None), None, Ok(R11)),
        (all, Some("2024-11-05"), request(None), None, Ok(R03)),
        (all, None, request(None), Some(R11), Ok(R11)),
        (all, None, request(None), None, Ok(R03)),
        (all, None, other, Some(R06), Ok(R06)),
        (all, None, get, Some(R11), Ok(R11)),
        (all, None, get, None, Ok(R03)),
        (all.without(R03), None, request(None), None, unsupported("2025-03-26")),
        (all, Some("2025-11-25"), request(Some("2025-11-25")), Some(R11), Ok(R11)),
        (all, None, request(Some("2025-11-25")), Some(R11), Ok(R11)),
        // Unknown, or switched off.
        (all, Some("invalid"), request(None), Some(R11), unsupported("invalid")),
        (all, Some(""), request(None), None, unsupported("")),
        (all, Some("2000-01-01"), get, Some(R11), unsupported("2000-01-01")),
        (all.without(R06), Some("2025-06-18"), other, None, unsupported("2025-06-18")),
        (all.without(Revision::V2024_11_05), Some("2024-11-05"), other, None, unsupported("2024-11-05")),
        // The stateless era: header and body agree.
        (all, Some("2026-07-28"), request(Some("2026-07-28")), None, Ok(R26)),
        (all, Some("2026-07-28"), request(Some("2026-07-28")), Some(R11), Ok(R26)),
        (all, Some("2026-07-28"), request(None), None, Err(VersionError::MissingMeta)),
        (all, Some("2026-07-28"), request(Some("2025-11-25")), None, Err(VersionError::MissingMeta)),
        (all, Some("2026-07-28"), request(Some("v9")), None, Err(VersionError::Mismatch)),
        (all, Some("v9"), request(Some("v9")), None, unsupported("v9")),
        (all, Some("v9"), request(Some("2026-07-28")), None, Err(VersionError::Mismatch)),
        (all, Some("2025-11-25"), request(Some("2026-07-28")), None, Err(VersionError::Mismatch)),
        (all, None, request(Some("2026-07-28")), None, Err(VersionError::MissingHeader)),
        (all, None, request(Some("v9")), Some(R11), Err(VersionError::MissingHeader)),
        (all, Some("2026-07-28"), other, None, Ok(R26)),
        (all, Some("2026-07-28"), get, None, Ok(R26)),
        (stateless, None, get, None, Ok(R26)),
        (stateless, None, request(None), None, Err(VersionError::MissingHeader)),
        (stateless, None, other, None, Err(VersionError::MissingHeader)),
        (stateless, Some("2025-11-25"), request(Some("2025-11-25")), None, unsupported("2025-11-25")),
        // Where that era is switched off, its `_meta` is any other.
        (sessions, Some("2026-07-28"), request(Some("2026-07-28")), None, unsupported("2026-07-28")),
        (sessions, Some("2025-11-25"), request(Some("2026-07-28")), None, Ok(R11)),
        (sessions, None, request(Some("2026-07-28")), Some(R11), Ok(R11)),
    ] {
        let facts = VersionFacts { header, body, session };
        assert_eq!(facts.decide(spoken), expected, "{facts:?} of {spoken:?}");
    }
}

#[test]
fn a_revision_is_switched_on_and_off_however_often_it_is_said() {
    for revision in Revision::ALL {
        let one = Revisions::none().with(revision);
        assert_eq!((one.with(revision), Revisions::all().with(revision)), (one, Revisions::all()));
        assert_eq!(
            (one.without(revision), Revisions::none().without(revision)),
            (Revisions::none(), Revisions::none())
        );
    }
}

#[test]
fn over_every_combination_nothing_is_served_that_is_not_spoken_or_not_said() {
    let dates = [None, Some("v9"), Some("")].into_iter().chain(Revision::ALL.map(|r| Some(r.as_str())));
    let dates: Vec<_> = dates.collect();
    let mut bodies = vec![BodyFacts::None, BodyFacts::Other];
    for &meta in &dates {
        bodies.push(BodyFacts::Request { meta });
        bodies.extend(dates.iter().map(|&proposed| BodyFacts::Initialize { proposed, meta }));
    }
    let mut seen = 0;
    for mask in 0..32_u8 {
        let on = Revision::ALL.into_iter().filter(|revision| mask & (1 << *revision as u8) != 0);
        let spoken = on.fold(Revisions::none(), Revisions::with);
        for &header in &dates {
            for &body in &bodies {
                for session in [None, Some(R03), Some(R06), Some(R11)] {
                    let session = session.filter(|revision| spoken.contains(*revision));
                    let facts = VersionFacts { header, body, session };
                    let decided = facts.decide(spoken);
                    seen += 1;
                    let (meta, is_request) = match body {
                        BodyFacts::Request { meta } | BodyFacts::Initialize { meta, .. } => (meta, true),
                        BodyFacts::None | BodyFacts::Other => (None, false),
                    };
                    if let Ok(revision) = decided {
                        let bridged = revision == R03 && spoken.contains(Revision::V2024_11_05);
                        assert!(spoken.contains(revision) || bridged, "{facts:?} {spoken:?}");
                        assert_ne!(revision, Revision::V2024_11_05);
                        // Nobody is served without state who did not say so in both places.
                        if revision == R26 && is_request {
                            assert_eq!((header, meta), (Some("2026-07-28"), Some("2026-07-28")), "{facts:?}");
                        }
                        // A header is never overruled, but by what `initialize` proposes, and by what the session
                        // that was opened by one has agreed on.
                        if let (Some(header), false) = (header, matches!(body, BodyFacts::Initialize { .. }))
                        {
                            let named: Revision = header.parse().unwrap();
                            let agreed = session.filter(|_| named != R26);
                            let expected = agreed.unwrap_or(named);
                            assert!(expected == revision || (expected < R03 && revision == R03), "{facts:?}");
                        }
                    }
                    if header.is_some_and(|header| header.parse::<Revision>().is_err()) {
                        assert!(decided.is_err(), "{facts:?}");
                    }
                }
            }
        }
    }
    assert_eq!(seen, 32 * 8 * (2 + 8 + 64) * 4);
}
