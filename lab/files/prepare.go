package files

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

const chunkBytes = 1 << 20

// Make makes the file with bytes of random content, if it is not there or is
// shorter: holes would be answered without the device. What is written is on the
// device when it returns.
func Make(file string, bytes int64) (made bool, err error) {
	if st, err := os.Stat(file); err == nil && st.Size() >= bytes && st.Mode().IsRegular() {
		return false, nil
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false, fmt.Errorf("cannot make the file to work on (--file): %w", err)
	}
	defer f.Close()
	var seed [32]byte
	random := rand.NewChaCha8(seed)
	if _, err := io.CopyBuffer(f, io.LimitReader(random, bytes), make([]byte, chunkBytes)); err != nil {
		return false, fmt.Errorf("cannot fill %q with %d bytes (--file, --size): %w", file, bytes, err)
	}
	if err := f.Sync(); err != nil {
		return false, fmt.Errorf("cannot write %q to its device: %w", file, err)
	}
	return true, nil
}

// Heat reads the first bytes of the file into the page cache; Chill drops the file
// from it, as far as it is on the device (posix_fadvise(2)).
func Heat(file string, bytes int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	// Read ahead, some pages would be marked: the first who reads one is to read on,
	// so RWF_NOWAIT refuses it.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM)
	buf := make([]byte, chunkBytes)
	for left := bytes; left > 0; {
		n, err := f.Read(buf[:min(left, chunkBytes)])
		if left -= int64(n); err != nil {
			return fmt.Errorf("cannot read %q into the page cache: %w", file, err)
		}
	}
	return nil
}

// Chill is the reverse of Heat.
func Chill(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}
