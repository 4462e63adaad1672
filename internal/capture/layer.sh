# Installs packages of one service above the base. Runs as root in namespaces of
# its own for mounts, processes and host name; the packages are fetched with the
# machine's network and unpacked without any.
# $1 base, $2 folder of the layer, $3 apt's folder, $4 file for debconf, then packages.
base=$1 layer=$2 apt=$3 debconf=$4
shift 4
root=$layer/root
mkdir -p "$layer/upper" "$layer/work" "$root" "$apt/lists" "$apt/archives/partial"
if ! mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" "$root"; then
	echo "no overlay mount over $layer: is it on an overlay itself? name another folder with CAPTURE_DIR" >&2
	exit 1
fi
hostname gate
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o size=64m tmpfs "$root/var/cache/apt"
mkdir -p "$root/var/cache/apt/archives"
mount --bind "$apt/lists" "$root/var/lib/apt/lists"
mount --bind "$apt/archives" "$root/var/cache/apt/archives"
: >"$layer/resolv.conf"
cat /etc/resolv.conf >"$layer/resolv.conf"
mount -t tmpfs tmpfs /mnt # a copy to bind: the base's own file stays as it is
cp "$layer/resolv.conf" /mnt/resolv.conf
rm "$layer/resolv.conf"
[ -e "$root/etc/resolv.conf" ] || : >"$root/etc/resolv.conf"
mount --bind /mnt/resolv.conf "$root/etc/resolv.conf"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive http_proxy="${http_proxy:-}" chroot "$root" "$@"; }
apart() { unshare -n sh -c 'ip link set lo up; exec "$@"' sh "$@"; }
fetch() { inside apt-get -qy --no-install-recommends --download-only install "$@"; }

[ -n "$(find "$apt/lists" -name '*InRelease' -mmin -720)" ] || inside apt-get -q update
fetch "$@" || { inside apt-get -q update && fetch "$@"; }
if [ -s "$debconf" ]; then
	inside debconf-set-selections <"$debconf"
fi
apart env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
	chroot "$root" apt-get -qy --no-install-recommends --no-download install "$@"
inside dpkg-query -W -f '${Package} ${Version}\n' >"$layer/versions"
rm -f "$apt/archives"/*.deb
umount -R "$root"
rm -rf "$layer/work" "$root"
