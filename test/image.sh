#!/bin/sh
# Builds the image of contrib/docker/Dockerfile, and looks at it as who runs it would: it is not
# root, has no shell, runs with a file system that cannot be written but for its folder, answers,
# stops at once, and has its chain at the next start. KARAT_IMAGE names an image to look at instead;
# KARAT_GO_IMAGE one that has Go. Exit code 77: there is no Docker, or the image of Go cannot be had.
set -eu
cd "$(dirname "$0")/.."
docker info >/dev/null 2>&1 || { echo "NOT RUN: the image (there is no Docker daemon)"; exit 77; }
go_image=${KARAT_GO_IMAGE:-golang:1.27.3} image=${KARAT_IMAGE:-}
if [ -z "$image" ]; then
	docker image inspect "$go_image" >/dev/null 2>&1 || docker pull -q "$go_image" || { echo "NOT RUN: the image ($go_image cannot be had)"; exit 77; }
	image=karat:test
	docker build --network host --build-arg GO="$go_image" -f contrib/docker/Dockerfile -t "$image" .
fi
name=karat-test-$$
trap 'docker rm -f "$name" >/dev/null 2>&1; docker volume rm "$name" >/dev/null 2>&1' EXIT
fails() { echo "$*"; exit 1; }

docker run --rm "$image" --version | grep -q "^karatd version" || fails "it says no version"
[ "$(docker inspect -f '{{.Config.User}}' "$image")" = 65532:65532 ] || fails "it runs as root"
! docker run --rm --entrypoint sh "$image" -c true 2>/dev/null || fails "it has a shell"
for run in 1 2; do
	docker run -d --name "$name" --read-only --cap-drop ALL --security-opt no-new-privileges:true --network none -v "$name:/data" "$image" --network dev --mine --mine-interval 1s >/dev/null
	docker exec "$name" karat --network dev rpc --wait getblockcount >/dev/null
	sleep 2
	height=$(docker exec "$name" karat --network dev rpc getblockcount)
	[ "$height" -ge "$run" ] || fails "$height blocks at the start $run"
	docker stop -t 60 "$name" >/dev/null
	[ "$(docker inspect -f '{{.State.ExitCode}}' "$name")" = 0 ] || fails "it did not end well"
	docker logs "$name" 2>&1 | grep -q "msg=stopped" || fails "it was killed"
	docker rm "$name" >/dev/null
done
[ "$height" -gt 2 ] || fails "it forgot its chain"
echo "the image is as it should be: $(docker image inspect -f '{{.Size}}' "$image") bytes, height $height after two starts"
