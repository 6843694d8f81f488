#!/guest/busybox sh
# What is tried in the guest, each in the place of the group tree where users have it. Ends with one line that says
# whether everything passed.
/guest/busybox mkdir -p /guest/bin
/guest/busybox --install -s /guest/bin
printf '#!/guest/busybox sh\nexec /usr/bin/setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"\n' > /guest/bin/as_user
/guest/busybox chmod 755 /guest/bin/as_user
export PATH=/usr/bin:/guest/bin:/guest
groups=/sys/fs/cgroup
failures=0
only=

set_up() {
  mount -t proc proc /proc
  only=$(sed -n 's/.*skylift.only=\([^ ]*\).*/\1/p' /proc/cmdline)
  mount -t sysfs sys /sys
  mount -t devtmpfs dev /dev
  mount -t tmpfs -o mode=1777 tmp /run
  # As systemd mounts it.
  mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $groups
  chown -R 0:0 /usr /guest /etc
  chmod 1777 /tmp
  chmod 755 / /usr /guest /usr/bin /usr/lib
  insmod /guest/overlay.ko
  ip link set lo up
  echo "+cpu +memory +pids" > $groups/cgroup.subtree_control
}

# try NAME COMMAND…: in the group of this shell.
try() {
  local name=$1
  shift
  case $name in *"$only"*) ;; *) return ;; esac
  echo "guest: --- $name"
  if "$@" > /tmp/said 2>&1; then
    grep -E '^test result|^skipped|^(ok|reduced|MISSING) ' /tmp/said
    echo "guest: passed: $name ($(cut -d' ' -f1 /proc/uptime) s)"
  else
    cat /tmp/said
    echo "guest: FAILED: $name"
    failures=$((failures + 1))
  fi
}

# What a service manager does before it starts something in a group anew: nobody hands controllers down from it.
vacate() {
  rmdir "$groups/$1/skylift-host" 2>/dev/null
  (echo "-cpu -memory -pids" > "$groups/$1/cgroup.subtree_control") 2>/dev/null
}

# alone_in GROUP COMMAND…: as the only process there.
alone_in() {
  local group=$1
  shift
  vacate "$group"
  (
    read -r pid rest < /proc/self/stat
    echo "$pid" > /tmp/pid
    echo "$pid" > "$groups/$group/cgroup.procs" && exec "$@"
  )
}

# beside_another_in GROUP COMMAND…: with a shell in the same group, as from a terminal.
beside_another_in() {
  local group=$1
  shift
  alone_in "$group" /guest/busybox sh -c '"$@"; exit $?' sh "$@"
}

# A group as a service manager hands it to a user: the folder and the three files are the user's, the limits are not.
delegate() {
  mkdir -p "$groups/$1"
  chown 1000:1000 "$groups/$1" "$groups/$1/cgroup.procs" "$groups/$1/cgroup.threads" "$groups/$1/cgroup.subtree_control"
}

# What `skylift doctor` should say where nothing is missing, and the limits of the hostile tests: memory, processes, CPU.
is_limited() {
  "$@" skylift doctor > /tmp/doctor
  cat /tmp/doctor
  grep -q '^ok *cgroups *v2: memory, pids, cpu$' /tmp/doctor || return 1
  "$@" env SKYLIFT_TEST_CONTROLLERS=all test-hostile --test-threads=1 limits
}

hostile() {
  "$@" test-hostile --test-threads=1 --skip the_tools_of_builds_run --skip an_ordinary_user
}

# platform COMMAND…: starts it in the background and waits until it is ready.
platform() {
  rm -f /tmp/up
  "$@" skylift up --data "$data" --listen 127.0.0.1:8080 --config /tmp/config.toml > /tmp/up 2>&1 &
  until grep -q '^ready' /tmp/up 2>/dev/null; do sleep 1; done
  up=$(cat /tmp/pid)
}

site() {
  rm -rf /tmp/site
  mkdir -p /tmp/site
  printf '[build]\ncommand = "%s"\noutput = "dist"\n' "$1" > /tmp/site/skylift.toml
}

groups_left() {
  find $groups -type d -name "skylift-[0-9]*" | wc -l
}

# builds_are_limited GROUP WHO: a build within its limits, one beyond them, and a platform that is killed while it builds.
builds_are_limited() {
  local group=$1 who=$2 left
  command -v node > /dev/null || { echo "skipped: no Node.js where this was made"; return 0; }
  data=/tmp/data-$who
  printf '[build]\nmemory_bytes = 134217728\npids = 64\n' > /tmp/config.toml
  platform alone_in "$group" "$who"
  cli() { "$who" skylift --data "$data" "$@"; }
  site 'python3 -c \"bytearray(400 << 20)\"'
  cli deploy /tmp/site --app greedy > /tmp/greedy 2>&1
  cat /tmp/greedy
  grep -q 'out of memory: 0.1 of 0.1 GiB' /tmp/greedy || return 1
  echo "groups left after a build: $(groups_left)"
  [ "$(groups_left)" = 0 ] || return 1
  site 'sleep 1000'
  cli deploy /tmp/site --app slow --no-wait > /tmp/slow 2>&1
  until [ "$(groups_left)" -gt 0 ]; do sleep 1; done
  kill -9 "$up"
  left=$(groups_left)
  echo "groups left by the platform that was killed: $left"
  [ "$left" -gt 0 ] || return 1
  platform alone_in "$group" "$who"
  cli cancel "$(grep '^d-[a-z0-9]*$' /tmp/slow)"
  until [ "$(groups_left)" = 0 ]; do sleep 1; done
  kill "$up"
  while [ -d "/proc/$up" ]; do sleep 1; done
  echo "groups left at the end: $(groups_left)"
  [ "$(groups_left)" = 0 ]
}

is_unlimited_and_says_so() {
  "$@" skylift doctor > /tmp/doctor
  cat /tmp/doctor
  grep -q 'reduced *missing *a control group of its own' /tmp/doctor && hostile "$@"
}

set_up
echo "guest: $(uname -r), $(cat $groups/cgroup.controllers)"
try "the unit tests, as root" test-skylift_sandbox --skip a_tree_deeper
try "root, in the root group: every hostile test" hostile env SKYLIFT_TEST_CONTROLLERS=all
mkdir -p $groups/system.slice/skylift.service
try "root, as a service: limits" is_limited alone_in system.slice/skylift.service
mkdir -p $groups/user.slice/session.scope
try "root, from a terminal: limits" is_limited beside_another_in user.slice/session.scope
delegate system.slice/user.service
try "a user, with a delegated group: limits" is_limited alone_in system.slice/user.service as_user
try "a user, with a delegated group: every hostile test" hostile alone_in system.slice/user.service as_user
delegate user.slice/user@1000.service
delegate user.slice/user@1000.service/app.slice
delegate user.slice/user@1000.service/app.slice/terminal.scope
echo "+cpu +memory +pids" > $groups/user.slice/cgroup.subtree_control
echo "+cpu +memory +pids" > $groups/user.slice/user@1000.service/cgroup.subtree_control
try "a user, from a terminal of the user's own manager: limits" is_limited beside_another_in user.slice/user@1000.service/app.slice/terminal.scope as_user
try "a user without a group: told, and confined all the same" is_unlimited_and_says_so alone_in user.slice/session.scope as_user
try "root, as a service: the platform" builds_are_limited system.slice/skylift.service env
try "a user, with a delegated group: the platform" builds_are_limited system.slice/user.service as_user

if [ $failures = 0 ]; then echo "guest: all passed"; else echo "guest: $failures failed"; fi
poweroff -f
