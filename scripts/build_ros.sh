#!/usr/bin/env bash
# Builds ros_ws with the repository's venv against the ROS 2 that is there (wheels or apt). Skips when nothing changed.
#   scripts/build_ros.sh [--force]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ws="$repo/ros_ws"
stamp="$ws/install/.o2o_setup/ros"
flavour="$(ros_flavour)"

# With the wheels the editable install serves Python; an overlay's copy would come before it and hide later edits.
# Beside an apt ROS 2 the overlay holds links, so that the system's `ros2 launch` finds the packages too.
install_python=OFF
installed_python=()
if [[ "$flavour" == apt ]]; then
  install_python=ON
  installed_python=("$repo/o2o_robot" "$repo/sim" "$repo/calibration")
fi

# Contents of what is compiled or configured. Python and launch files are symlinked: only their coming and going counts.
inputs() {
  printf '%s\n' "$repo" "$flavour" "$("$venv/bin/python" -c 'import sys; print(sys.base_prefix, sys.version)')"
  cat "$repo/scripts/build_ros.sh" "$repo/scripts/lib.sh" "$repo/scripts/repair_cmake_paths.py" "$repo"/requirements/ros*.txt
  find "$ws/src" -type f ! -name '*.py' ! -path '*/__pycache__/*' ! -path '*.egg-info/*' -print0 | sort -z | xargs -0 sha256sum
  sha256sum "$ws"/src/*/setup.py
  find "$repo/launch" "${installed_python[@]}" -name '*.py' -o -name '*.yaml' -o -name '*.xml' -o -name '*.html' 2>/dev/null | sort
}

build() {
  local python="$venv/bin/python"
  enter_ros
  export PATH="$venv/bin:$PATH"
  mkdir -p "$repo/launch"
  if [[ "$flavour" == wheels ]]; then
    "$python" "$repo/scripts/repair_cmake_paths.py" "$venv"
  fi
  # CMake remembers packages of a prefix that may be gone; a moved or re-made venv needs a clean configure.
  if [[ -f "$stamp.python" && "$(<"$stamp.python")" != "$venv $flavour" ]]; then rm -rf "$ws/build" "$ws/install"; fi
  cd "$ws"
  "$python" -m colcon --log-base log build --merge-install --symlink-install \
    --event-handlers console_cohesion+ desktop_notification- --executor sequential \
    --cmake-args --no-warn-unused-cli -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
    "-DPython3_EXECUTABLE=$python" "-DO2O_INSTALL_PYTHON=$install_python"
  mark_fresh "$stamp.python" "$venv $flavour"
}

[[ -x "$venv/bin/python" ]] || fail "no venv at $venv; run make setup"
wanted="$(inputs | digest)"
[[ "${1:-}" == --force ]] && rm -f "$stamp"
if is_fresh "$stamp" "$wanted"; then exit 0; fi
stage "colcon build" build
mark_fresh "$stamp" "$wanted"
