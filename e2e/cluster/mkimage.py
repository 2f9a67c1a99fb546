#!/usr/bin/env python3
"""mkimage.py: makes a container image archive of one folder, without a container engine.

    mkimage.py [options] OUT.tar FOLDER NAME:TAG...

The archive is what `docker load`, `kind load image-archive` and `ctr images import` read. The same content gives the same bytes: names
are sorted, times are zero, owners are root, and a file's mode is 0755 if it is executable and 0644 if not, whatever the umask was.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import stat
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ROOT_PATH = "PATH=/usr/local/bin:/usr/bin:/bin"


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("out")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--entrypoint", action="append", default=[], help="one word of the command; repeat for more")
    parser.add_argument("--user", default="", help="user that runs the entrypoint, such as 65532:65532")
    parser.add_argument("--mode", action="append", default=[], metavar="PATH=OCTAL", help="mode of one entry, such as tmp=1777")
    return parser.parse_args()


def entries(folder):
    """Everything below `folder` as relative paths, a parent before its children."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(folders + files):
            yield os.path.relpath(os.path.join(parent, name), folder)


def tar_entry(archive, folder, path, modes):
    source = os.path.join(folder, path)
    entry = archive.gettarinfo(source, arcname=path)
    if entry.islnk():  # a second name of a file: the content once more is simpler than keeping them linked
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", os.path.getsize(source)
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    executable = entry.isdir() or entry.issym() or os.stat(source).st_mode & stat.S_IXUSR
    entry.mode = modes.get(path, 0o755 if executable else 0o644)
    return entry


def layer_of(folder, modes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in entries(folder):
            entry = tar_entry(archive, folder, path, modes)
            if entry.isreg():
                with open(os.path.join(folder, path), "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def configuration(layer, entrypoint, user):
    runtime = {"Entrypoint": entrypoint, "Env": [ROOT_PATH]}
    if user:
        runtime["User"] = user
    return json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer)]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        }
    ).encode()


def write_archive(out, members):
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def main():
    arguments = parse_arguments()
    modes = {path: int(mode, 8) for path, mode in (each.split("=") for each in arguments.mode)}
    layer = layer_of(arguments.folder, modes)
    compressed = gzip.compress(layer, 1, mtime=0)  # the fastest level: the image travels over loopback
    config = configuration(layer, arguments.entrypoint, arguments.user)
    config_name, layer_name = digest(config) + ".json", digest(compressed) + "/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": arguments.names, "Layers": [layer_name]}]).encode()
    temporary = arguments.out + ".part"
    write_archive(temporary, [(config_name, config), (layer_name, compressed), ("manifest.json", manifest)])
    os.replace(temporary, arguments.out)


main()
