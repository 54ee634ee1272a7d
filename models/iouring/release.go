package iouring

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How a driver ends: what is in the kernel is cancelled and waited for, then
// everything is given back.

// drainFor bounds the wait for the kernel; a file op in a worker cannot be
// interrupted on every file system.
const drainFor = 5 * time.Second

// release ends what Run has begun; err is what Run would return. On the head,
// after the loop. The shard has detached its connections.
func (d *Driver) release(err error) error {
	d.closing = true
	if d.err == nil && err == nil {
		err = d.drain()
	}
	return errors.Join(err, d.free())
}

func (d *Driver) drain() error {
	if d.ring.Pending() == 0 {
		return nil
	}
	d.listener.stop()
	d.ring.Next(uint64(kindNone)).PrepCancel(uint64(wakeKey), false)
	d.ring.Next(uint64(kindNone)).PrepCancel(uint64(alarmKey), false)
	for deadline := time.Now().Add(drainFor); d.ring.Pending() > 0 && time.Now().Before(deadline); {
		for d.next < d.n {
			d.step()
		}
		d.bufs.Commit()
		d.syslets.cancelAll()
		if _, err := d.ring.SubmitAndWait(d.ring.Pending(), int64(cancelAgain)); err != nil {
			return err
		}
		d.settle()
		d.n, d.next = d.ring.Harvest(d.events[:]), 0
	}
	for d.next < d.n {
		d.step()
	}
	return nil
}

// stuck keeps drivers whose ring could not be closed: the kernel may still write
// into the memory that hangs off them.
var stuck struct {
	sync.Mutex
	drivers []*Driver
}

// free gives back what open took, as far as it did.
func (d *Driver) free() error {
	var errs []error
	if d.helpers != nil {
		d.helpers.Close()
	}
	if d.ring != nil {
		if err := d.ring.Close(); err != nil {
			stuck.Lock()
			stuck.drivers = append(stuck.drivers, d)
			stuck.Unlock()
			errs = append(errs, err)
		}
	}
	if d.wakefd >= 0 {
		errs = append(errs, unix.Close(d.wakefd))
	}
	return errors.Join(errs...)
}
