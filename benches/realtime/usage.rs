//! What a process uses, from `/proc`.

use std::fs;

use rustix::param::clock_ticks_per_second;

use crate::Result;

/// Its processor time so far, of threads that have ended too, in seconds; in steps of a clock tick
/// (10 ms), which is why nothing is measured for less than a second.
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // proc_pid_stat(5): the name, which may have spaces, ends with the last parenthesis; the 14th
    // and 15th fields are utime and stime.
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
    let times = rest.split_ascii_whitespace().skip(11).take(2);
    let ticks: f64 = times.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / real(clock_ticks_per_second()))
}

/// The processor time so far of all there is on this machine, and of what its host took from it, in
/// seconds.
pub fn all_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    // proc_stat(5): user nice system idle iowait irq softirq steal, then guests' time once more.
    let times = line.split_ascii_whitespace().skip(1).take(8).enumerate();
    let busy = times.filter(|(field, _)| !matches!(field, 3 | 4));
    let ticks: f64 = busy
        .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
        .sum();
    Ok(ticks / real(clock_ticks_per_second()))
}

/// Its resident memory in bytes.
pub fn memory(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next());
    let kib: u64 = kib.ok_or("smaps_rollup has no Rss")?.parse()?;
    Ok(kib * 1024)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here has 53 bits")]
pub fn real(count: u64) -> f64 {
    count as f64
}
