package differential

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// The tree that every run begins with. A directory that was used before is put
// right again, which is far cheaper than to remove and make it: ext4 looks long
// for an inode that was not deleted lately.
var (
	treeDirs  = []string{"", "d0", "d1"}
	treeFiles = []treeFile{
		{"f0", "n1\x00" + string(letters(16))}, // read into the path buffer it names n1
		{"f1", string(letters(300))},
		{"f2", string(letters(5000))},
		{"d0/x", string(letters(40))},
		{"d0/y", ""},
	}
	treeLinks = []treeLink{{"f0", "l0"}, {"gone", "l1"}, {"l2", "l2"}}
	treeTypes = typesOfTree()
)

type (
	treeFile struct{ name, data string }
	treeLink struct{ to, name string }
)

const (
	dirMode  = 0o755
	fileMode = 0o644
)

// typesOfTree gives the type of each name in the tree.
func typesOfTree() map[string]fs.FileMode {
	types := map[string]fs.FileMode{}
	for _, d := range treeDirs {
		types[d] = fs.ModeDir
	}
	for _, f := range treeFiles {
		types[f.name] = 0
	}
	for _, l := range treeLinks {
		types[l.name] = fs.ModeSymlink
	}
	return types
}

// plant makes dir hold the tree and nothing else.
func plant(dir string) error {
	for _, d := range treeDirs {
		if err := plantDir(dir, d); err != nil {
			return fmt.Errorf("differential: cannot make %q in %s: %w", d, dir, err)
		}
	}
	for _, f := range treeFiles {
		if err := plantFile(dir+"/"+f.name, []byte(f.data)); err != nil {
			return fmt.Errorf("differential: cannot make %s in %s: %w", f.name, dir, err)
		}
	}
	for _, l := range treeLinks {
		path := dir + "/" + l.name
		if to, err := os.Readlink(path); err == nil && to == l.to {
			continue
		}
		if err := errors.Join(os.RemoveAll(path), os.Symlink(l.to, path)); err != nil {
			return fmt.Errorf("differential: cannot make %s in %s: %w", l.name, dir, err)
		}
	}
	return nil
}

// chill takes what c says of f2 out of the page cache: what is dirty stays there.
func chill(dir string, c Cold) error {
	fd, err := unix.Open(dir+"/f2", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fdatasync(fd); err != nil {
		return err
	}
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil || c == coldAll {
		return err
	}
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM); err != nil { // nothing is read ahead
		return err
	}
	var first [1]byte
	_, err = unix.Pread(fd, first[:], 0)
	return err
}

// plantDir makes a directory of the tree, or removes from it what is not in the tree.
func plantDir(root, name string) error {
	path := root + "/" + name
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(path, dirMode); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		inTree := e.Name()
		if name != "" {
			inTree = name + "/" + inTree
		}
		if t, ok := treeTypes[inTree]; !ok || t != e.Type() {
			if err := os.RemoveAll(root + "/" + inTree); err != nil {
				return err
			}
		}
	}
	return os.Chmod(path, dirMode)
}

func plantFile(path string, data []byte) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&0o7777 != fileMode {
		if err := unix.Fchmod(fd, fileMode); err != nil {
			return err
		}
	}
	if st.Size == int64(len(data)) && bytes.Equal(readAll(fd), data) {
		return nil
	}
	if _, err := unix.Pwrite(fd, data, 0); err != nil {
		return err
	}
	return unix.Ftruncate(fd, int64(len(data)))
}
