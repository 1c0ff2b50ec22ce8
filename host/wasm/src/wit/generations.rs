//! Derives the text of generation 0.3 of the contract from that of 0.2: a test compares the result with the file, so that
//! the two differ in nothing but what stands here.

/// Passages of 0.2 and what 0.3 has in their place. Each occurs exactly once.
const PASSAGES: &[(&str, &str)] = &[
    (
        "/// The version number follows WASI's. 0.2 uses the stream resources of WASI 0.2. 0.3 is the same contract with the
/// async functions and streams of WASI 0.3.
",
        "/// The version number follows WASI's. This is the contract over the async functions and streams of WASI 0.3. 0.2 is the
/// same contract with the stream resources of WASI 0.2. A host may offer both over the same stores.
",
    ),
    (
        "directly from its source. The bytes
///   never enter guest memory.
",
        "directly from its source. The bytes
///   of a stream that the guest only hands on never enter its memory.
/// - **Final status.** A `stream` does not say why it ended: one that was cut off ends like a whole one. So each has a
///   `future` beside it, its final status, which is `ok` only if the content came to its end. A put stores its content
///   only after the status was `ok`. Any error there, and a future that is dropped without a value, makes the put fail:
///   `stalled` for `stalled`, else `interrupted`. The put reports it as soon as it is known, and what the stream delivers
///   from then on is lost. A status that never comes blocks the put.
",
    ),
    (
        "/// - **Only pulled bytes count.** A stream reports its failure once and then looks finished, and a guest may have read
///   a prefix. Receipts therefore describe the bytes that the host pulled. A caller that knows the length or digest of
///   its content passes it as `expected`, and the host checks both before the content becomes visible.
",
        "/// - **Only pulled bytes count.** A guest may have read a prefix of a stream that it hands over. Receipts therefore
///   describe the bytes that the host pulled. A caller that knows the length or digest of its content passes it as
///   `expected`, and the host checks both before the content becomes visible.
",
    ),
    (
        "/// - **Consistency.**",
        "/// - **Concurrency.** The calls of a guest run at the same time. A call that the guest cancels leaves the whole effect
///   or none. A host bounds the calls that one guest has in flight; one more is `unavailable`.
/// - **No return.** A host that ends a call before the end of its content cannot hand the rest back, and may have taken
///   more bytes from the stream than it reports.
/// - **Consistency.**",
    ),
    ("package portico:storage@0.2.0;", "package portico:storage@0.3.0;"),
    (
        "  use wasi:io/error@0.2.12.{error as io-error};
  use wasi:io/streams@0.2.12.{input-stream, output-stream};

",
        "",
    ),
    (
        "    /// The backend does not respond at present, the guest holds too many streams and writers open, or the source was
    /// idle while other operations waited for memory. The payload is the number of seconds after which a retry makes
    /// sense, where known.
    unavailable",
        "    /// The backend does not respond at present, the guest holds too many streams and writers open or has too many calls
    /// in flight, or the source was idle while other operations waited for memory. The payload is the number of seconds
    /// after which a retry makes sense, where known.
    unavailable",
    ),
    (
        "    /// The content: the stream cannot be handed over because the guest still holds a pollable of it.
",
        "    /// The content. Not reported in this generation: a stream can always be handed over.
",
    ),
    (
        "

  /// Returns the storage error behind a failed stream of this package; absent if the failure is of another kind. The
  /// argument is the `error` in `stream-error.last-operation-failed`.
  error-of: func(err: borrow<io-error>) -> option<error>;",
        "",
    ),
    (
        "    /// Pulls `content` to its end and stores it as a part of a session. `content` is consumed, also on failure. A part
    /// number",
        "    /// Pulls `content` to its end and stores it as a part of a session. `content` and `status` are consumed, also on
    /// failure. A part number",
    ),
    (
        " A failure of the backend ends the stream with an error that `error-of` understands, never with a
    /// silent end.
",
        " The future is the stream's final status: `ok` after its end, the error if the backend fails, and
    /// `interrupted` if the stream was dropped before its end.
",
    ),
    (
        "    /// Pulls `content` to its end and stores it as a final object. `content` is consumed, also on failure.
",
        "    /// Pulls `content` to its end and stores it as a final object. `content` and `status` are consumed, also on failure.
",
    ),
    (
        "    /// Pulls `content` to its end and appends it. Returns the number of bytes that this call appended. `content` is
    /// consumed, also on failure. Traps while a `sink` exists.
",
        "    /// Pulls `content` to its end and appends it. Returns the number of bytes that this call appended. `content` and
    /// `status` are consumed, also on failure. A pull that the guest cancels fails the writer with `interrupted`. Traps
    /// while another `pull` of this writer runs.
",
    ),
    (
        "    /// Opens a stream that appends the bytes written to it. The stream is a child of the writer: drop it before `pull`,
    /// `finish` or the next `sink`. Bytes belong to the content once a `flush` has returned, or once the stream is
    /// dropped after a successful write. The stream reports a failure once (see `error-of`), and `finish` reports it
    /// again. Traps while another `sink` exists.
    sink: func() -> result<output-stream, error>;

",
        "",
    ),
    (
        "it visible. Consumes the writer, also on failure. Traps while a `sink` exists.
",
        "it visible. Consumes the writer, also on failure.
",
    ),
    ("`include portico:storage/imports@0.2.0;`", "`include portico:storage/imports@0.3.0;`"),
    ("include wasi:cli/command@0.2.12;", "include wasi:cli/command@0.3.0;"),
    ("include wasi:http/proxy@0.2.12;", "include wasi:http/service@0.3.0;"),
];

/// What stands in place of a name wherever it occurs outside of [`PASSAGES`].
const EVERYWHERE: &[(&str, &str)] = &[
    ("content: input-stream", "content: stream<u8>, status: future<result<_, error>>"),
    ("-> result<input-stream, error>", "-> result<tuple<stream<u8>, future<result<_, error>>>, error>"),
    ("handed over as `input-stream`", "handed over as `stream`"),
];

/// Functions that ask no backend, so that they are not `async`.
const IMMEDIATE: &[&str] = &["open", "info", "scope", "receipt"];

/// Sections that 0.3 does not have, from their first words to those of the section that follows.
const SECTIONS: &[(&str, Option<&str>)] = &[
    ("/// What a portal does with its exchange", Some("/// A component that serves HTTP requests from storage")),
    ("\n/// An upload portal: a handler with settings", None),
];

/// Derives generation 0.3 from the text of 0.2.
///
/// # Panics
/// If the text does not have a passage exactly once, a section, or a name.
pub(super) fn derive(contract: &str) -> String {
    let mut text = contract.to_owned();
    for (old, new) in PASSAGES {
        assert_eq!(text.matches(old).count(), 1, "0.2 must have this passage once:\n{old}");
        text = text.replacen(old, new, 1);
    }
    for (old, new) in EVERYWHERE {
        assert!(text.contains(old), "0.2 no longer has `{old}`");
        text = text.replace(old, new);
    }
    for (first, next) in SECTIONS {
        let begin = text.find(first).unwrap_or_else(|| panic!("0.2 no longer has the section `{first}`"));
        let end = next.map_or(text.len(), |next| text.find(next).unwrap_or_else(|| panic!("no section `{next}`")));
        text.replace_range(begin..end, "");
    }
    text.lines().map(|line| asynchronous(line) + "\n").collect()
}

/// Makes the function on a line `async`, if there is one that asks a backend.
fn asynchronous(line: &str) -> String {
    let Some((name, _)) = line.trim_start().split_once(": ").filter(|_| !line.trim_start().starts_with("//")) else {
        return line.to_owned();
    };
    if IMMEDIATE.contains(&name) { line.to_owned() } else { line.replacen(" func(", " async func(", 1) }
}
