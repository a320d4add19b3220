#!/bin/bash
#
# install.sh KIND FOLDER - makes a server that this Debian does not have, in a folder of its own.
# install.sh --check KIND FOLDER - ends with 1 if that is still to be done.
#
#   mysql-9.7       Debian sid's mysql-server-core and mysql-client-core
#   mariadb-11.8    Debian trixie's mariadb-server-core and mariadb-client-core
#
# The packages come from the archive that this machine's apt uses already, with all that they
# link to, libc included, and are unpacked under FOLDER. Nothing is installed: apt works on
# lists and a package database of its own, so that those of the machine stay as they are, and no
# privilege is needed. The programs run by the loader of the folder; see tests/support/servers.py.
#
# Does nothing where FOLDER is complete; one that was made of other packages is made again. TWINLOG_DEBIAN names another archive.

set -euo pipefail

# What the servers' packages want for scripts that we do not run: our package database has them.
left_out=(perl perl-base libdbi-perl debconf debconf-2.0 init-system-helpers lsof mysql-common mariadb-common ucf)

die()
{
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# ---- What is asked for ----

check=no
if [[ ${1-} == --check ]]; then
    check=yes
    shift
fi
[[ $# -eq 2 ]] || die "usage: install.sh [--check] mysql-9.7|mariadb-11.8 FOLDER"
kind=$1
case $kind in
mysql-*) suite=sid packages=(mysql-server-core mysql-client-core) alone=() server=usr/sbin/mysqld ;;
mariadb-*)
    # The plugins, encryption among them, are in a package that wants much else: it comes without that.
    suite=trixie packages=(mariadb-server-core mariadb-client-core) alone=(mariadb-server) server=usr/sbin/mariadbd
    ;;
*) die "no server $kind: mysql-9.7 or mariadb-11.8" ;;
esac
made_of="$suite ${packages[*]} ${alone[*]-}"

is_complete() # folder
{
    [[ -e $1/.complete && $(sed -n 2p "$1/.complete") == "$made_of" ]]
}

if [[ $check == yes ]]; then
    is_complete "$2" && exit 0 || exit 1
fi
mkdir -p "$2"
folder=$(realpath "$2")

# Two runs at once: the second finds the work done.
exec 9>"$folder.lock"
flock 9
is_complete "$folder" && exit 0
[[ ! -e $folder/.complete ]] || find "$folder" -mindepth 1 -delete # made of other packages
[[ -z $(ls -A "$folder") ]] || die "$folder is neither empty nor a server made by this script: remove it"

for tool in apt-get dpkg dpkg-deb tar; do
    command -v "$tool" >/dev/null || die "$kind comes as Debian packages, and $tool is missing"
done

# ---- An apt of our own ----

# The first archive in apt's own sources that has this release's main part.
archive()
{
    local release

    # shellcheck source=/dev/null
    release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$release" '$1 == release && $2 == "main" {print $3; exit}'
}

new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
apt=$new/.apt
log=$apt/log

prepare_apt()
{
    local uri

    uri=${TWINLOG_DEBIAN:-$(archive)}
    [[ -n $uri ]] || die "no Debian archive for this release in apt's sources; TWINLOG_DEBIAN may name one"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$uri" "$suite" \
        >"$apt/sources.list"
    for name in "${left_out[@]}"; do
        printf 'Package: %s\nStatus: install ok installed\nArchitecture: %s\nMulti-Arch: allowed\n' \
            "$name" "$(dpkg --print-architecture)"
        printf 'Version: 999:1\nMaintainer: nobody <nobody@localhost>\nDescription: not needed\n\n'
    done >"$apt/status"
    # Read behind the machine's own settings, a proxy say, which stay but for what would act on its folders.
    cat >"$apt/conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::State::Extended_States "$apt/extended_states";
Dir::Cache "$apt";
Dir::Cache::Archives "$apt/archives";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
END
}

# apt-get of our own; its last words are all that is shown when it fails.
our_apt()
{
    if ! apt-get -c "$apt/conf" -q -y "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "$kind could not be downloaded from $(cut -d' ' -f3 "$apt/sources.list"), suite $suite: see apt-get's words above"
    fi
}

# ---- Download, unpack, look at it ----

unpack()
{
    local deb

    for deb in "$apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$new" --no-same-owner --keep-directory-symlink --exclude './usr/share/doc' \
                --exclude './usr/share/man' --exclude './usr/share/locale' --exclude './usr/share/info' ||
            die "$deb cannot be unpacked"
    done
}

# The version as the server itself says it, so that it is known to run here.
version()
{
    local loader

    loader=$(find "$new/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' | head -n 1)
    [[ -n $loader ]] || die "no loader came with $kind"
    "$loader" --library-path "$(dirname "$loader")" "$new/$server" --no-defaults --version |
        sed -nE 's/.* Ver ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p'
}

prepare_apt
our_apt update
our_apt --download-only install "${packages[@]}"
[[ ${#alone[@]} -eq 0 ]] || (cd "$apt/archives" && our_apt download "${alone[@]}")
unpack
rm -rf "$apt"
found=$(version)
[[ -n $found ]] || die "the server of $kind does not run here"
[[ $found == "${kind#*-}".* ]] ||
    die "Debian $suite has version $found now, and the tests are for $kind: they have to name the new one"
printf '%s\n%s\n' "$found" "$made_of" >"$new/.complete"
chmod 755 "$new"
rmdir "$folder"
mv -T "$new" "$folder"
printf '%s %s\n' "$kind" "$found"
