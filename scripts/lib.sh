# Shared by the set-up scripts; source it. Gives: repo, venv, logs, say, fail, stage, is_fresh, mark_fresh, ros_flavour.
# shellcheck shell=bash
set -euo pipefail

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$repo/.venv"
logs="$repo/.setup"
mkdir -p "$logs"

# A child of another venv inherits this mark of the ROS wheels and would then miss its libraries.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE

say() { printf '%s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# stage NAME COMMAND...: runs it quietly, prints one line with its seconds; on failure the log's last lines and where it is.
stage() {
  local name="$1" log started=$SECONDS
  log="$logs/${name//[^a-z0-9]/_}.log"
  shift
  if "$@" >"$log" 2>&1; then
    say "set-up: $name done in $((SECONDS - started)) s"
    return
  fi
  tail -n 40 "$log" >&2
  fail "$name failed after $((SECONDS - started)) s; the lines above end $log"
}

# A stamp is a file inside what it vouches for, so that deleting the thing deletes the stamp. It holds a digest of the inputs.
is_fresh() { [[ -f "$1" && "$(<"$1")" == "$2" ]]; }
mark_fresh() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }
digest() { sha256sum | cut -d' ' -f1; }

# Setup files of apt-installed ROS 2 distributions that these packages build on (Jazzy or later), newest last.
apt_ros_setup() {
  local setup newest=""
  for setup in "${O2O_ROS_ROOT:-/opt/ros}"/*/setup.bash; do
    [[ -f "$setup" ]] || continue
    case "$(basename "$(dirname "$setup")")" in [j-z]*) newest="$setup" ;; esac # distributions are named in alphabetical order
  done
  printf '%s' "$newest"
}

# wheels: ROS 2 from pip. apt: the machine's own ROS 2. O2O_ROS overrides what is found.
ros_flavour() {
  case "${O2O_ROS:-}" in
    wheels | apt) printf '%s' "$O2O_ROS" ;;
    "") if [[ -n "$(apt_ros_setup)" ]]; then printf apt; else printf wheels; fi ;;
    *) fail "O2O_ROS is '$O2O_ROS'; use wheels or apt, or leave it unset to choose by what is installed" ;;
  esac
}

# Puts the chosen ROS 2 on this shell's paths, and nothing of any other workspace.
enter_ros() {
  unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH
  if [[ "$(ros_flavour)" == wheels ]]; then
    export AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv"
    return
  fi
  local setup
  setup="$(apt_ros_setup)"
  [[ -n "$setup" ]] || fail "O2O_ROS=apt, but no ROS 2 Jazzy or later under ${O2O_ROS_ROOT:-/opt/ros}; install ros-<distro>-ros-base or use O2O_ROS=wheels"
  set +u # ROS's own setup files read unset variables
  # shellcheck disable=SC1090
  source "$setup"
  set -u
}
