//! Redis Streams as the queue: a stream for each priority that is in use, read by one consumer group.
//!
//! ```text
//!  {prefix}:runs:known       hash     run → its priority: what is announced and not acknowledged
//!  {prefix}:runs:waiting:5   stream   runs of priority 5; group `workers`: who has which, since when
//!  {prefix}:runs:priorities  set      the priorities that have a stream, by themselves
//!  {prefix}:runs:delayed     set      runs that wait for their time, by when that is
//! ```
//!
//! Every step is one script, so that a Redis which lost the last of what it was told lost whole steps. Time is Redis's own.

use std::time::Duration;

use skylift_bus::{BusSettings, Scripts};

use super::{Depth, Notice, Received, Served, Service, ServiceError};

/// How many messages one script is about: its words and its answer stay short.
const BATCH: usize = 256;
/// How often it is looked for messages whose time ran out, by all who receive together.
const LOOK_EVERY: Duration = Duration::from_millis(500);

const NAMES: &str = "\
local at = KEYS[1]
local known, priorities, delayed = at..':known', at..':priorities', at..':delayed'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function stream(priority) return at..':waiting:'..priority end
";

const PUT: &str = "\
local function put(id, priority, after)
  if after > 0 then return redis.call('ZADD', delayed, now + after, id) end
  local to = stream(priority)
  if redis.call('EXISTS', to) == 0 then
    redis.call('XGROUP', 'CREATE', to, 'workers', '0', 'MKSTREAM')
    redis.call('ZADD', priorities, priority, priority)
  end
  redis.call('XADD', to, '*', 'run', id)
end
";

/// ARGV: run, priority, milliseconds; again and again. What is known is not announced twice.
const ANNOUNCE: &str = "\
for i = 1, #ARGV, 3 do
  if redis.call('HSETNX', known, ARGV[i], ARGV[i + 1]) == 1 then put(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])) end
end";

/// ARGV: who, how many, lease and time between looks in milliseconds. What is due goes to its stream; then by priority, what others let go
/// of before what is new. Streams with nothing in them go, and with them the names of those who read them; and where there is no message at
/// all, nothing is known.
const RECEIVE: &str = "\
local who, most, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3]
for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, most)) do
  redis.call('ZREM', delayed, id)
  put(id, redis.call('HGET', known, id) or '0', 0)
end
local found = {}
local function add(priority, entries)
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry[2][2]
    found[#found + 1] = priority
    found[#found + 1] = entry[1]
  end
end
local looks = redis.call('SET', at..':looked', '1', 'NX', 'PX', ARGV[4])
for _, priority in ipairs(redis.call('ZREVRANGE', priorities, 0, -1)) do
  local from = stream(priority)
  local left = most - #found / 3
  if looks and left > 0 then
    local since = redis.call('HGET', at..':looked_at', priority) or '0-0'
    local claimed = redis.pcall('XAUTOCLAIM', from, 'workers', who, lease, since, 'COUNT', left)
    if not claimed.err then
      add(priority, claimed[2])
      redis.call('HSET', at..':looked_at', priority, claimed[1])
      left = most - #found / 3
    end
  end
  if left > 0 then
    local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', who, 'COUNT', left, 'STREAMS', from, '>')
    if read and read.err then
      redis.pcall('XGROUP', 'CREATE', from, 'workers', '0', 'MKSTREAM')
    elseif read then
      add(priority, read[1][2])
    elseif redis.call('XLEN', from) == 0 then
      redis.call('DEL', from)
      redis.call('HDEL', at..':looked_at', priority)
      redis.call('ZREM', priorities, priority)
    end
  end
end
if #found == 0 and redis.call('ZCARD', priorities) == 0 and redis.call('ZCARD', delayed) == 0 then redis.call('DEL', known) end
return found";

/// ARGV: who; then priority, entry again and again.
const RENEW: &str = "\
for i = 2, #ARGV, 2 do redis.pcall('XCLAIM', stream(ARGV[i]), 'workers', ARGV[1], 0, ARGV[i + 1], 'JUSTID') end";

/// ARGV: run, priority, entry; again and again. A delivery that is not there any more is no news of its run.
const ACKNOWLEDGE: &str = "\
for i = 1, #ARGV, 3 do
  local from = stream(ARGV[i + 1])
  if redis.pcall('XACK', from, 'workers', ARGV[i + 2]) == 1 then redis.call('HDEL', known, ARGV[i]) end
  redis.pcall('XDEL', from, ARGV[i + 2])
end";

/// ARGV: run, priority, entry, milliseconds; again and again.
const GIVE_BACK: &str = "\
for i = 1, #ARGV, 4 do
  local from = stream(ARGV[i + 1])
  local had = redis.pcall('XACK', from, 'workers', ARGV[i + 2])
  redis.pcall('XDEL', from, ARGV[i + 2])
  if had == 1 then
    redis.call('HSET', known, ARGV[i], ARGV[i + 1])
    put(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 3]))
  end
end";

/// ARGV: runs. Which of them, counted from 1, are not known.
const UNKNOWN: &str = "\
local unknown = {}
for i, priority in ipairs(redis.call('HMGET', known, unpack(ARGV))) do
  if not priority then unknown[#unknown + 1] = i end
end
return unknown";

const DEPTH: &str = "\
local there, held = 0, 0
for _, priority in ipairs(redis.call('ZRANGE', priorities, 0, -1)) do
  there = there + redis.call('XLEN', stream(priority))
  local pending = redis.pcall('XPENDING', stream(priority), 'workers')
  if not pending.err then held = held + pending[1] end
end
local due = redis.call('ZCOUNT', delayed, '-inf', now)
return {there - held + due, held, redis.call('ZCARD', delayed) - due}";

/// The queue in the Redis of the bus.
pub struct RedisStreams {
    scripts: Scripts,
    at: String,
}

impl RedisStreams {
    /// Prepares, without connecting: the keys begin as those of the bus do.
    ///
    /// # Errors
    /// Where the settings cannot work.
    pub fn new(settings: &BusSettings) -> std::io::Result<Self> {
        Ok(Self { scripts: Scripts::new(settings)?, at: format!("{}:runs", settings.prefix) })
    }

    async fn run(&self, script: &str, words: Vec<String>) -> Result<Vec<String>, ServiceError> {
        let script = format!("{NAMES}{PUT}{script}");
        let ran = self.scripts.run(&script, &self.at, &words).await;
        ran.map_err(|error| failed(error.to_string()))
    }

    /// Runs a script for some after the other, each as its words.
    async fn run_each<T>(
        &self,
        script: &str,
        of: &[T],
        first: &[&str],
        words: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), ServiceError> {
        for some in of.chunks(BATCH) {
            let mut all: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
            all.extend(some.iter().flat_map(&words));
            self.run(script, all).await?;
        }
        Ok(())
    }
}

impl Service for RedisStreams {
    fn announce<'s>(&'s self, notices: &'s [Notice]) -> Served<'s, ()> {
        let words = |notice: &Notice| vec![notice.id.to_string(), notice.priority.to_string(), millis(notice.after)];
        Box::pin(self.run_each(ANNOUNCE, notices, &[], words))
    }

    fn receive<'s>(&'s self, who: &'s str, most: usize, lease: Duration) -> Served<'s, Vec<Received>> {
        Box::pin(async move {
            let most = most.min(BATCH).to_string();
            let words = vec![who.to_owned(), most, millis(lease), millis(LOOK_EVERY.min(lease))];
            let found = self.run(RECEIVE, words).await?;
            let received = found.chunks_exact(3).filter_map(|some| match some {
                // What somebody else wrote is nobody's run.
                [id, priority, entry] => {
                    Some(Received { id: id.parse().ok()?, receipt: format!("{priority} {entry}") })
                }
                _ => None,
            });
            Ok(received.collect())
        })
    }

    fn renew<'s>(&'s self, who: &'s str, held: &'s [Received], _: Duration) -> Served<'s, ()> {
        let words = |held: &Received| place(held);
        Box::pin(async move { self.run_each(RENEW, held, &[who], words).await })
    }

    fn acknowledge<'s>(&'s self, held: &'s [Received]) -> Served<'s, ()> {
        let words = |held: &Received| [vec![held.id.to_string()], place(held)].concat();
        Box::pin(self.run_each(ACKNOWLEDGE, held, &[], words))
    }

    fn give_back<'s>(&'s self, held: &'s [(Received, Duration)]) -> Served<'s, ()> {
        let words = |(held, after): &(Received, Duration)| {
            [vec![held.id.to_string()], place(held), vec![millis(*after)]].concat()
        };
        Box::pin(self.run_each(GIVE_BACK, held, &[], words))
    }

    fn unknown<'s>(&'s self, waiting: &'s [Notice]) -> Served<'s, Vec<Notice>> {
        Box::pin(async move {
            let mut unknown = Vec::new();
            for some in waiting.chunks(BATCH) {
                let ids = some.iter().map(|notice| notice.id.to_string()).collect();
                for place in self.run(UNKNOWN, ids).await? {
                    let place = place.parse::<usize>().ok().and_then(|place| some.get(place.checked_sub(1)?));
                    unknown.extend(place.cloned());
                }
            }
            Ok(unknown)
        })
    }

    fn depth(&self) -> Served<'_, Depth> {
        Box::pin(async {
            let counts = self.run(DEPTH, Vec::new()).await?;
            let counts: Vec<u64> = counts.iter().filter_map(|count| count.parse().ok()).collect();
            match counts.as_slice() {
                [visible, in_flight, delayed] => {
                    Ok(Depth { visible: *visible, in_flight: *in_flight, delayed: *delayed })
                }
                _ => Err(failed("an answer without three counts".to_owned())),
            }
        })
    }
}

/// The priority and the entry of a delivery.
fn place(held: &Received) -> Vec<String> {
    let (priority, entry) = held.receipt.split_once(' ').unwrap_or(("0", "0-0"));
    vec![priority.to_owned(), entry.to_owned()]
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn failed(why: String) -> ServiceError {
    ServiceError { service: "Redis", why }
}
