# Source this in bash or zsh to use the thing:  . scripts/env.sh
# Gives `o2o`, the venv's Python, ROS 2 and the built overlay, with discovery held to this machine.
_o2o_repo="$(cd "$(dirname "${BASH_SOURCE[0]:-${(%):-%x}}")/.." && pwd -P)"
_o2o_shell="${ZSH_VERSION:+zsh}"
_o2o_shell="${_o2o_shell:-bash}"

if [ ! -f "$_o2o_repo/ros_ws/install/local_setup.$_o2o_shell" ]; then
  echo "env.sh: nothing is built under $_o2o_repo/ros_ws/install; run: make setup" >&2
else
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE # set by another venv's Python, it would keep ours from finding its libraries
  if grep -qi '^include-system-site-packages *= *true' "$_o2o_repo/.venv/pyvenv.cfg"; then
    for _o2o_setup in "${O2O_ROS_ROOT:-/opt/ros}"/[j-z]*/setup."$_o2o_shell"; do :; done # the newest, as set-up chose
    . "$_o2o_setup"
  else
    export AMENT_PREFIX_PATH="$_o2o_repo/.venv"
  fi
  . "$_o2o_repo/.venv/bin/activate"
  . "$_o2o_repo/ros_ws/install/local_setup.$_o2o_shell"
  export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
  export MUJOCO_GL="${MUJOCO_GL:-egl}"
  # room for raw camera pictures; Fast DDS 2 and 3 read different variables (o2o_robot/overlay.py)
  case "${FASTDDS_DEFAULT_PROFILES_FILE:-}${FASTRTPS_DEFAULT_PROFILES_FILE:-}:${ROS_DISTRO:-}" in
    :humble | :iron | :jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE="$_o2o_repo/launch/fastdds.xml" ;;
    :*) export FASTDDS_DEFAULT_PROFILES_FILE="$_o2o_repo/launch/fastdds.xml" ;;
  esac
fi
unset _o2o_repo _o2o_shell _o2o_setup
