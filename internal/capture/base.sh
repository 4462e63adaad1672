# Makes the base that all services share: Debian, no more than is needed.
# $1 is the folder that it becomes, $2 the mirror, $3 the release.
base=$1 mirror=$2 release=$3
new=$base.new
rm -rf "$new"
# Besides minbase: what many services and clients need, so that it is there once.
debootstrap --variant=minbase --include=ca-certificates,iproute2,libicu72,netbase,openssl,perl,procps \
	"$release" "$new" "$mirror"
rm -rf "$new"/usr/share/doc/* "$new"/usr/share/man/* "$new"/usr/share/info/* "$new"/usr/share/locale/*
rm -rf "$new"/var/lib/apt/lists/* "$new"/var/cache/apt/* "$new"/var/log/*
for f in wtmp btmp lastlog; do : >"$new/var/log/$f"; done
cat >"$new/etc/dpkg/dpkg.cfg.d/small" <<EOF
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/examples
path-include=/usr/share/doc/*/examples/*
EOF
cat >"$new/etc/apt/apt.conf.d/90small" <<EOF
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
EOF
cat >"$new/etc/apt/sources.list" <<EOF
deb $mirror $release main
deb $mirror $release-updates main
deb $mirror-security $release-security main
EOF
# Nothing that is installed starts.
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
chmod 755 "$new/usr/sbin/policy-rc.d"
echo gate >"$new/etc/hostname"
echo gate.example.org >"$new/etc/mailname"
cat >"$new/etc/hosts" <<EOF
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
192.0.2.10 gate.example.org gate
2001:db8::10 gate.example.org gate
EOF
mv "$new" "$base"
