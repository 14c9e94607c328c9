# What pip cannot bring. Source after lib.sh; gives need_system_packages.
# shellcheck shell=bash

has_library() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep "$1" >/dev/null; } # -q would end the pipe early
has_file() { compgen -G "$1" >/dev/null; }

# missing_system_packages PYTHON: names, one a line, of the Debian packages whose part is not there.
missing_system_packages() {
  local python="$1" version
  version="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
  command -v make >/dev/null || echo make
  command -v cmake >/dev/null || echo cmake
  command -v g++ >/dev/null || echo g++
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$version-venv"
  has_file "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || echo "$version-dev"
  # MuJoCo renders through EGL; without a GPU, Mesa's vendor library and its software rasteriser do the work.
  has_library 'libEGL\.so\.1' || echo libegl1
  has_library 'libGL\.so\.1' || echo libgl1
  if ! has_library 'libEGL_nvidia'; then
    has_library 'libEGL_mesa\.so\.0' || echo libegl-mesa0
    has_library 'libgallium-' || has_file '/usr/lib/*/dri/swrast_dri.so' || echo libgl1-mesa-dri
  fi
  if [[ "$(ros_flavour)" == apt ]]; then
    "$python" -c 'import colcon_core' 2>/dev/null || echo python3-colcon-common-extensions
  fi
}

# Wanted only where a RealSense is plugged in: named, and installed where we may, but never a reason to stop.
missing_camera_packages() { has_library 'libusb-1\.0\.so\.0' || echo libusb-1.0-0; }

may_install() { [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; }

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update && apt-get install -y --no-install-recommends "$@"
}

# need_system_packages PYTHON: names what is missing in one line with its remedy; as root on Debian or Ubuntu, installs it.
need_system_packages() {
  local missing optional asked="$logs/camera_packages_asked"
  mapfile -t missing < <(missing_system_packages "$1")
  mapfile -t optional < <(missing_camera_packages)
  if may_install; then
    if [[ ${#missing[@]} -gt 0 ]]; then
      say "set-up: missing system packages; as root running: apt-get update && apt-get install -y ${missing[*]}"
      stage "system packages" install_packages "${missing[@]}"
    fi
    if [[ ${#optional[@]} -gt 0 && ! -f "$asked" ]]; then
      touch "$asked" # once: a machine without a network should not wait for it at every call
      (stage "camera packages (${optional[*]})" install_packages "${optional[@]}") || say "set-up: went on without ${optional[*]}; only a RealSense needs it"
    fi
    return
  fi
  [[ ${#missing[@]} -eq 0 ]] || fail "missing system packages; run: sudo apt-get update && sudo apt-get install -y ${missing[*]} ${optional[*]}"
  [[ ${#optional[@]} -eq 0 ]] || say "set-up: a RealSense camera would need: sudo apt-get install -y ${optional[*]}"
}
