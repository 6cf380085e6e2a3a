#!/bin/sh
# Load the image of this folder on a machine without network, and let it prove itself.
#
#   sh install.sh                      docker, podman or apptainer, whichever is there
#   sh install.sh --tool podman        this one
#   sh install.sh --device cuda        prove it on the GPU
#
# 네트워크가 없는 서버에서 이미지를 불러오고 스스로 점검하게 합니다.
set -eu
cd "$(dirname "$0")"

tool= device=cpu
while [ $# -gt 0 ]; do
    case $1 in
        --tool) tool=${2:?}; shift 2 ;;
        --device) device=${2:?}; shift 2 ;;
        *) echo "install.sh: unknown option $1 (there are --tool and --device)" >&2; exit 2 ;;
    esac
done
if [ -z "$tool" ]; then
    for tool in docker podman apptainer; do
        case $tool in
            apptainer) command -v apptainer > /dev/null && break ;;
            *) "$tool" info > /dev/null 2>&1 && break ;; # a client without its daemon is no help
        esac
        tool=
    done
fi
[ -n "$tool" ] || {
    echo 'install.sh: no docker, podman or apptainer works here; install one, or name it with --tool to see why' >&2
    exit 9
}

echo "checking every file ..."
sha256sum --check --quiet SHA256SUMS || {
    echo 'install.sh: the files named above are damaged or missing; copy them again' >&2
    exit 9
}
. ./bundle.env # IMAGE ARCHIVE SIF

case $tool in
    docker | podman)
        echo "loading $ARCHIVE with $tool ..."
        gzip --decompress --stdout "$ARCHIVE" | "$tool" load # some podman cannot read it gzipped
        gpus=
        if [ "$device" != cpu ]; then
            gpus='--gpus all'
            [ "$tool" = docker ] || gpus='--device nvidia.com/gpu=all'
        fi
        echo 'proving it (a minute or two) ...'
        # shellcheck disable=SC2086 # two words, or none
        "$tool" run --rm --network none --read-only --env STT_DEVICE="$device" $gpus "$IMAGE" selftest
        cat << END

the server (SNAKESCRIBE_API_KEY keeps strangers out):
  $tool run --detach --name snakescribe --publish 8003:8003 --env SNAKESCRIBE_API_KEY=choose-one \\
    --env STT_DEVICE=$device${gpus:+ $gpus} --stop-timeout 70 --env SNAKESCRIBE_STOP_TIMEOUT=70 \\
    --volume snakescribe:/data $IMAGE
a folder of recordings:
  mkdir -p results && $tool run --rm --network none --user "\$(id -u):\$(id -g)"${gpus:+ $gpus} \\
    --env STT_DEVICE=$device --volume /my/recordings:/recordings:ro --volume "\$PWD/results:/results" \\
    $IMAGE run --recordings /recordings --results /results
END
        ;;
    apptainer)
        [ -n "$SIF" ] || { echo 'install.sh: this bundle was made without --sif; use docker or podman' >&2; exit 9; }
        options=--containall
        [ "$device" = cpu ] || options="$options --nv"
        [ "$(id -u)" != 0 ] || options="$options --no-privs" # root needs none of its rights in there
        echo 'proving it (a minute or two) ...'
        mkdir -p data # the image cannot be written
        # shellcheck disable=SC2086
        apptainer run $options --net --network none --bind "$PWD/data:/data" --env STT_DEVICE="$device" "$SIF" selftest
        cat << END

the server (SNAKESCRIBE_API_KEY keeps strangers out):
  apptainer run $options --bind $PWD/data:/data --env STT_DEVICE=$device,SNAKESCRIBE_API_KEY=choose-one $PWD/$SIF
a folder of recordings:
  mkdir -p results && apptainer run $options --env STT_DEVICE=$device --bind $PWD/data:/data \\
    --bind /my/recordings:/recordings:ro --bind "\$PWD/results:/results" \\
    $PWD/$SIF run --recordings /recordings --results /results
with Snakemake on this machine: container.image=$PWD/$SIF and --sdm apptainer
END
        ;;
    *)
        echo "install.sh: cannot use $tool; there are docker, podman and apptainer" >&2
        exit 2
        ;;
esac
