//! The rebased file against the rule of its documentation, and against the event parser.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use equilibrium_domain::event::{self, Event, MAX_EVENT_BYTES};
use equilibrium_domain::time::Timestamp;
use equilibrium_event_file::rebased_file::RebasedFile;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::NamedTempFile;

const SAMPLE: &[u8] = include_bytes!("../../../../events/replay-sample.ndjson");

/// 2027-01-15T08:00:00Z.
const START_MS: i64 = 1_800_000_000_000;

fn open(content: &[u8], start_ms: i64) -> RebasedFile {
    let temporary = NamedTempFile::new().unwrap();
    fs::write(temporary.path(), content).unwrap();
    RebasedFile::open(temporary.path(), start_ms, |_| {}).unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// All lines of `content` with its first time shifted to [`START_MS`].
fn rebased(content: impl AsRef<[u8]>) -> String {
    let mut file = open(content.as_ref(), START_MS);
    let mut out = Vec::new();
    file.advance(i64::MAX, &mut out).unwrap();
    assert!(file.is_finished());
    String::from_utf8(out).unwrap()
}

fn time(ms: i64) -> String {
    Timestamp::from_ms(ms).unwrap().to_string()
}

/// The time of every line according to the event parser.
fn times(content: &[u8]) -> Vec<i64> {
    let read = |line| match event::read(line).unwrap() {
        Event::Market(event) => event.time.ms(),
        Event::Unknown => panic!("{}", String::from_utf8_lossy(line)),
    };
    content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(read).collect()
}

#[test]
fn the_first_event_is_at_the_start_and_the_time_between_events_is_preserved() {
    let before = times(SAMPLE);
    let after = times(rebased(SAMPLE).as_bytes());
    assert!(before.len() > 10);
    assert_eq!(after[0], START_MS);
    let offsets = |times: &[i64]| times.iter().map(|ms| ms - times[0]).collect::<Vec<_>>();
    assert_eq!(offsets(&after), offsets(&before));
}

/// One line a second from `from`, with the lines of `others` put before the second of their number.
fn clock_lines(from: &str, seconds: i64, others: &[(i64, &str)]) -> String {
    let from = Timestamp::parse(from.as_bytes()).unwrap().ms();
    let line = |time: &str| format!("{{\"time\":\"{time}\"}}\n");
    let at = |second: i64| {
        let odd = others.iter().filter(move |(at, _)| *at == second).map(|(_, time)| line(time));
        odd.chain([line(&time(from + 1_000 * second))]).collect::<String>()
    };
    (0..seconds).map(at).collect()
}

#[test]
fn a_clock_that_is_fast_holds_back_no_other_line() {
    let content = clock_lines("2026-03-06T17:00:00Z", 60, &[(20, "2026-03-07T17:00:20Z")]);
    let mut file = open(content.as_bytes(), START_MS);
    let mut out = Vec::new();
    for second in 0..=60 {
        file.advance(START_MS + 1_000 * second, &mut out).unwrap();
        let expected = usize::try_from(second).unwrap() + usize::from(second >= 20);
        assert_eq!(std::str::from_utf8(&out).unwrap().lines().count(), expected, "{second}");
    }
    assert!(
        String::from_utf8(out).unwrap().contains(&time(START_MS + 86_420_000)),
        "for the receiver to refuse"
    );
}

#[test]
fn a_pause_in_the_file_is_kept() {
    let night = clock_lines("2026-03-06T17:00:00Z", 3, &[]) + &clock_lines("2026-03-07T05:00:00Z", 20, &[]);
    let last = times_of(&rebased(&night));
    assert_eq!((last[2], last[3]), (START_MS + 2_000, START_MS + 12 * 3_600_000));
}

#[test]
fn a_first_line_of_another_age_is_left_out() {
    for ancient in ["1970-01-01T00:00:10Z", "2026-03-01T00:00:00Z"] {
        let content = clock_lines("2026-03-06T17:00:00Z", 30, &[(0, ancient)]);
        assert_eq!(rebased(&content), rebased(clock_lines("2026-03-06T17:00:00Z", 30, &[])), "{ancient}");
    }
    // Without lines after it there is nothing to compare with.
    assert_eq!(
        rebased("{\"time\":\"1970-01-01T00:00:10Z\"}\n"),
        format!("{{\"time\":\"{}\"}}\n", time(START_MS))
    );
}

/// The times of lines that hold nothing else.
fn times_of(lines: &str) -> Vec<i64> {
    let read = |line: &str| Timestamp::parse(&line.as_bytes()[9..line.len() - 2]).unwrap().ms();
    lines.lines().map(read).collect()
}

#[test]
fn only_the_time_changes() {
    let first = r#"{"time":"2026-03-06T17:00:00Z"}"#;
    let pairs = [
        (r#" { "time" : "2026-03-06T18:00:01.2345+01:00" , "a":1} "#, r#" { "time" : "@" , "a":1} "#),
        (r#"{"time":"no","a":"é","time":"2026-03-06T17:00:01.234Z"}"#, r#"{"time":"no","a":"é","time":"@"}"#),
        (
            r#"{"time":"2020-01-01T00:00:00Z","time":"2026-03-06T17:00:01.234Z"}"#,
            r#"{"time":"2020-01-01T00:00:00Z","time":"@"}"#,
        ),
        (
            r#"{"in":{"time":"2020-01-01T00:00:00Z"},"time":"2026-03-06T17:00:01.234Z","last":[{"time":"2020-01-01T00:00:00Z"}]}"#,
            r#"{"in":{"time":"2020-01-01T00:00:00Z"},"time":"@","last":[{"time":"2020-01-01T00:00:00Z"}]}"#,
        ),
        (
            r#"{"a":"time","time":"2026-03-06T17:00:01.234Z","b":"\"time\":\"2020-01-01T00:00:00Z\""}"#,
            r#"{"a":"time","time":"@","b":"\"time\":\"2020-01-01T00:00:00Z\""}"#,
        ),
        (
            r#"{"ti\u006de":"2026-03-06T17:00:01.234Z","Time":"2020-01-01T00:00:00Z"}"#,
            r#"{"ti\u006de":"@","Time":"2020-01-01T00:00:00Z"}"#,
        ),
        (r#"{"time":"\u0032026-03-06T17:00:01.234Z"}"#, r#"{"time":"@"}"#),
    ];
    for (line, expected) in pairs {
        let expected = expected.replace('@', &time(START_MS + 1_234));
        assert_eq!(rebased(format!("{first}\n{line}\n")).lines().nth(1), Some(&*expected), "{line}");
    }
}

#[test]
fn lines_too_long_for_an_event_are_passed_through_also_if_rebasing_made_them_so() {
    let line = |bytes: usize| {
        let text = r#"{"time":"2026-03-06T17:00:00Z"}"#;
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    let (longer, longest) = (line(MAX_EVENT_BYTES + 1), line(MAX_EVENT_BYTES));
    let blank = " ".repeat(MAX_EVENT_BYTES + 1);
    let out = rebased(format!("{longer}\n{blank}\n{longest}\n"));
    let grown = longest.replace("2026-03-06T17:00:00Z", &time(START_MS));
    assert_eq!(grown.len(), MAX_EVENT_BYTES + 4);
    assert_eq!(out, format!("{longer}\n{blank}\n{grown}\n"));
}

#[test]
fn a_time_that_would_be_outside_the_valid_years_is_not_changed() {
    let [early, first, last] = ["16:59:59.999Z", "17:00:00.000Z", "17:00:00.001Z"]
        .map(|clock| format!("{{\"time\":\"2026-03-06T{clock}\"}}\n"));
    for (start_ms, kept) in [
        (Timestamp::END_OF_TIME.ms(), &last),
        (Timestamp::parse(b"0000-01-01T00:00:00Z").unwrap().ms(), &early),
    ] {
        let mut file = open(format!("{first}{kept}").as_bytes(), start_ms);
        let mut out = Vec::new();
        file.advance(start_ms, &mut out).unwrap();
        assert_eq!(out.len(), 0);
        file.advance(start_ms + 1, &mut out).unwrap();
        assert!(file.is_finished());
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, format!("{{\"time\":\"{}\"}}\n{kept}", time(start_ms)));
    }
    for start_ms in [i64::MIN, i64::MAX - 1] {
        let mut out = Vec::new();
        open(SAMPLE, start_ms).advance(i64::MAX, &mut out).unwrap();
        assert_eq!(out, SAMPLE);
    }
}

#[test]
fn an_empty_file_is_finished_after_the_first_call() {
    for content in ["", "\n", " \r\n\n\t"] {
        let mut file = open(content.as_bytes(), START_MS);
        assert!(!file.is_finished());
        file.advance(i64::MIN, &mut Vec::new()).unwrap();
        assert!(file.is_finished());
        assert_eq!(rebased(content), "");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| RebasedFile::open(path, START_MS, |_| {}).unwrap_err().kind();
    assert_eq!(error(folder.path()), io::ErrorKind::IsADirectory);
    assert_eq!(error(&folder.path().join("none")), io::ErrorKind::NotFound);
}

/// `lines` events of 200 bytes, one every 10 ms, and between them some lines too long to be events.
fn many(lines: i64) -> Vec<u8> {
    let mut content = Vec::new();
    for n in 0..lines {
        let time = time(1_700_000_000_000 + 10 * n);
        writeln!(content, r#"{{"n":"{n:08}","time":"{time}","pad":"{}"}}"#, "x".repeat(141)).unwrap();
        if n % 1_000 == 0 {
            writeln!(content, "{}", "y".repeat(9_000)).unwrap();
        }
    }
    content
}

#[test]
fn a_long_file_is_read_as_it_becomes_due_and_each_line_is_returned_once() {
    let lines = 25_000;
    let content = many(lines);
    assert!(content.len() > 4 << 20);
    for content in [gzip(&content), content] {
        let mut file = open(&content, START_MS);
        let (mut out, mut next) = (Vec::new(), 0);
        let mut until_ms = START_MS;
        while !file.is_finished() {
            out.clear();
            file.advance(until_ms, &mut out).unwrap();
            for line in out.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
                let expected = format!(r#"{{"n":"{next:08}","time":"{}","#, time(START_MS + 10 * next));
                assert!(line.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(line));
                assert_eq!(line.len(), 200);
                next += 1;
            }
            assert_eq!(next, ((until_ms - START_MS + 9) / 10).min(lines));
            until_ms += 777;
        }
        assert_eq!(next, lines);
    }
}

#[test]
fn a_truncated_gzip_fails_once_after_its_last_whole_line() {
    let whole = many(20_000);
    let compressed = gzip(&whole);
    let truncated = &compressed[..compressed.len() * 2 / 3];
    let mut readable = Vec::new();
    MultiGzDecoder::new(truncated).read_to_end(&mut readable).unwrap_err();
    readable.truncate(readable.iter().rposition(|byte| *byte == b'\n').unwrap() + 1);
    assert!(readable.len() > 1 << 20);
    // Rebasing does not change the length of these lines.
    let expected = rebased(&whole).into_bytes()[..readable.len()].to_vec();

    let mut file = open(truncated, START_MS);
    let mut out = Vec::new();
    let mut until_ms = START_MS;
    let failure = loop {
        if let Err(failure) = file.advance(until_ms, &mut out) {
            break failure;
        }
        assert!(!file.is_finished());
        until_ms += 1_000;
    };
    assert_eq!(failure.kind(), io::ErrorKind::UnexpectedEof);
    assert!(out == expected, "{} bytes, not {}", out.len(), expected.len());
    assert!(file.is_finished());
    file.advance(i64::MAX, &mut out).unwrap();
    assert_eq!(out.len(), expected.len());
}

/// A generated line, with a time in one of several spellings.
#[derive(Clone, Debug)]
struct GeneratedLine {
    line: &'static str,
    time_ms: i64,
    spelling: usize,
    end: &'static str,
}

/// Lines with a valid time; `@` is replaced by the time.
const READABLE: &[&str] = &[
    r#"{"time":@}"#,
    r#"	{"type" : "driver_location", "time" :	@ , "lat":4.5e1}"#,
    r#"{"time":"2020-01-01T00:00:00Z","in":[{"time":@}],"a":"\"time\":","time":@}"#,
    r#"{"time":null,"t\u0069me":@,"b":{"time":5}}"#,
];

/// Lines without a valid time.
const UNREADABLE: &[&str] = &[
    "nonsense",
    "\u{feff}{}",
    "[@]",
    "@",
    r#"{"Time":@}"#,
    r#"{"time":@,"time":null}"#,
    r#"{"time":"2026-03-06T17:00"}"#,
    r#"{"time":1772816400000}"#,
    r#"{"time":"\ud800"}"#,
    r#"{"a":{"time":@}}"#,
    r#"{"time":@} x"#,
    r#"{"time":@,}"#,
    r#"{"time":@"#,
];

fn generated_line() -> impl Strategy<Value = GeneratedLine> {
    let line = prop_oneof![2 => select(READABLE), 1 => select(UNREADABLE)];
    let end = select(&["\n", "\r\n", "\n\n", "\n \r\n"][..]);
    (line, 0..20_000_i64, 0..5_usize, end).prop_map(|(line, time_ms, spelling, end)| GeneratedLine {
        line,
        time_ms: 1_772_816_400_000 + time_ms,
        spelling,
        end,
    })
}

impl GeneratedLine {
    fn line(&self) -> String {
        self.line.replace('@', &self.time())
    }

    fn time(&self) -> String {
        let utc = time(self.time_ms);
        let spelled = match self.spelling {
            0 => utc,
            1 => utc.replace('Z', "9876-00:00"),
            2 => time(self.time_ms + 19_800_000).replace('Z', "+05:30"),
            3 => utc.replace('T', "t").replace('Z', "z"),
            _ => utc.replace('-', r"\u002d"),
        };
        format!("\"{spelled}\"")
    }

    fn is_readable(&self) -> bool {
        READABLE.contains(&self.line)
    }

    /// The line with the last of its times, which is the event's, changed to `time_ms`.
    fn with_time(&self, time_ms: i64) -> String {
        let (before, after) = self.line.rsplit_once('@').unwrap();
        format!("{}\"{}\"{after}", before.replace('@', &self.time()), time(time_ms))
    }
}

proptest! {
    /// All output for a file, against the rule in its shortest form.
    #[test]
    fn each_line_is_returned_in_order_when_it_and_all_lines_before_it_are_due(
        lines in vec(generated_line(), 0..20),
        has_final_newline in any::<bool>(),
        compressed in any::<bool>(),
        has_mark in any::<bool>(),
        untils in vec(-2_000..42_000_i64, 0..30),
    ) {
        let mut content: String = lines.iter().map(|line| line.line() + line.end).collect();
        if !has_final_newline {
            content.truncate(content.trim_end().len());
        }
        // A byte order mark at the start of the file is skipped.
        let mark = '\u{feff}';
        prop_assume!(!content.starts_with(mark));
        if has_mark {
            content.insert(0, mark);
        }
        let first = lines.iter().find(|line| line.is_readable());
        let offset_ms = START_MS - first.map_or(0, |first| first.time_ms);
        let mut due_ms = START_MS;
        let expected: Vec<(i64, String)> = lines.iter().map(|line| {
            if !line.is_readable() {
                return (due_ms, line.line() + "\n");
            }
            let time_ms = line.time_ms + offset_ms;
            due_ms = due_ms.max(time_ms);
            (due_ms, line.with_time(time_ms) + "\n")
        }).collect();

        let content = if compressed { gzip(content.as_bytes()) } else { content.into_bytes() };
        let mut file = open(&content, START_MS);
        let mut out = Vec::new();
        let mut latest_ms = i64::MIN;
        let untils = untils.iter().map(|until| START_MS + until);
        for until_ms in untils.chain([START_MS + 100_000]) {
            file.advance(until_ms, &mut out).unwrap();
            latest_ms = latest_ms.max(until_ms);
            let due = expected.partition_point(|(due_ms, _)| *due_ms < latest_ms);
            let returned: String = expected[..due].iter().map(|(_, line)| &**line).collect();
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), returned);
            prop_assert_eq!(file.is_finished(), due == expected.len());
        }
    }

    /// The event parser decides which `time` counts: it must read the shifted one, and everything else as before.
    #[test]
    fn the_event_parser_reads_the_shifted_time_and_no_other_change(members in vec(select(MEMBERS), 0..8)) {
        let members = [&members[..], REST].concat().join(",");
        let first = r#"{"time":"2026-03-06T17:00:00Z"}"#;
        let before = format!("{{{members}}}");
        let out = rebased(format!("{first}\n{before}"));
        let after = out.lines().nth(1).unwrap();
        let first_ms = Timestamp::parse(b"2026-03-06T17:00:00Z").unwrap().ms();
        match (event::read(before.as_bytes()), event::read(after.as_bytes())) {
            (Ok(Event::Market(mut before)), Ok(Event::Market(after))) => {
                before.time = Timestamp::from_ms(before.time.ms() - first_ms + START_MS).unwrap();
                prop_assert_eq!(before, after);
            }
            (before_refused, after_refused) => {
                prop_assert!(before_refused.is_err());
                prop_assert_eq!(before_refused, after_refused);
                prop_assert_eq!(before, after);
            }
        }
    }
}

const MEMBERS: &[&str] = &[
    r#""time":"2026-03-06T17:00:01Z""#,
    r#""time" : "2026-03-06T17:00:02.5+00:00""#,
    r#""\u0074\u0069me":"2026-03-06T17:00:03Z""#,
    r#""time":"2026-03-06T17:00:04\u005a""#,
    r#""time":null"#,
    r#""time":{"time":"2026-03-06T17:00:05Z"}"#,
    r#""time\ud800":"2026-03-06T17:00:06Z""#,
    r#""times":["time","2026-03-06T17:00:07Z"]"#,
    r#""note":"\"time\":\"2026-03-06T17:00:08Z\"""#,
];

const REST: &[&str] = &[r#""type":"ride_matched""#, r#""id":"e""#, r#""city":"nyc""#, r#""request_id":"r""#];
