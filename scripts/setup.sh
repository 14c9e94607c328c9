#!/usr/bin/env bash
# From a bare Debian or Ubuntu to a built workspace: system packages, venv, pinned wheels, editable install, colcon build.
# A second call skips what is done. O2O_PYTHON=python3.12 chooses the Python, O2O_ROS=wheels|apt the ROS 2.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$repo/scripts/system_packages.sh"

python="$venv/bin/python"
flavour="$(ros_flavour)"

# zarr 3 has no release for Python 3.10, so 3.11 is the floor in practice.
serves() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local candidate candidates=(python3 python3.11 python3.12 python3.13 python3.14)
  if [[ -n "${O2O_PYTHON:-}" ]]; then
    serves "$O2O_PYTHON" || fail "O2O_PYTHON=$O2O_PYTHON is not a Python >= 3.11; zarr 3 needs that"
    printf '%s' "$O2O_PYTHON"
    return
  fi
  # An apt ROS 2 is compiled for the system's Python and for no other.
  [[ "$flavour" == apt ]] && candidates=(/usr/bin/python3)
  for candidate in "${candidates[@]}"; do
    if serves "$candidate"; then printf '%s' "$candidate" && return; fi
  done
  fail "no Python >= 3.11 among: ${candidates[*]}; install one (apt-get install python3.11 python3.11-venv python3.11-dev) or set O2O_PYTHON"
}

# A venv holds absolute paths, so one that was copied here from elsewhere is as useless as none.
venv_serves() {
  local system_site=false
  [[ "$flavour" == apt ]] && system_site=true
  serves "$python" \
    && [[ "$("$python" -c 'import sys; print(sys.prefix)')" == "$venv" ]] \
    && "$python" -m pip --version >/dev/null 2>&1 \
    && grep -qi "^include-system-site-packages *= *$system_site" "$venv/pyvenv.cfg"
}

make_venv() {
  local base="$1" options=()
  [[ "$flavour" == apt ]] && options=(--system-site-packages)
  rm -rf "$venv"
  "$base" -m venv "${options[@]}" "$venv"
}

requirement_files() {
  printf '%s\n' "$repo"/requirements/{library,dev}.txt
  if [[ "$flavour" == wheels ]]; then printf '%s\n' "$repo"/requirements/{ros,colcon}.txt; fi
}

install_torch() { "$python" -m pip install --no-input "$(grep '^torch==' "$repo/requirements/torch.txt")"; }

install_wheels() {
  local file options=()
  while read -r file; do options+=(-r "$file"); done < <(requirement_files)
  "$python" -m pip install --no-input --prefer-binary "${options[@]}"
}

install_editable() { "$python" -m pip install --no-input --no-deps --no-build-isolation -e "$repo"; }

# once NAME DIGEST COMMAND...: a stage that is skipped while its inputs are those of last time.
once() {
  local name="$1" wanted="$2" stamp="$venv/.o2o_setup/${1//[^a-z]/_}"
  shift 2
  is_fresh "$stamp" "$wanted" && return
  stage "$name" "$@"
  mark_fresh "$stamp" "$wanted"
}

main() {
  local base
  exec 9>"$logs/lock"
  if ! flock --nonblock 9; then
    say "set-up: another set-up of this folder is at work, waiting for it"
    flock 9
  fi

  if ! venv_serves; then
    base="$(find_python)"
    need_system_packages "$base"
    stage "venv of $("$base" --version) for ROS 2 from $flavour" make_venv "$base"
  else
    need_system_packages "$python"
  fi
  touch "$venv/COLCON_IGNORE" # or colcon walks into the venv and finds the wheels' own packages

  once "torch" "$(cat "$repo/requirements/torch.txt" | digest)" install_torch
  once "pinned wheels" "$(requirement_files | xargs cat | digest)" install_wheels
  once "editable install" "$(cat "$repo/pyproject.toml" | digest)" install_editable
  "$repo/scripts/build_ros.sh" 9>&- # the lock is ours; a child that outlives us must not hold it
}

main "$@"
