package threadlet

// explicitDetector detects nothing: the role changes hands by HandOver alone.
type explicitDetector struct{ noWatcher }

func (explicitDetector) name() string                                { return DetectorExplicit }
func (explicitDetector) probe(int) error                             { return nil }
func (explicitDetector) attach(*thread, *gate) error                 { return nil }
func (explicitDetector) watch(*thread)                               {}
func (explicitDetector) unwatch(*thread)                             {}
func (explicitDetector) blocked(*thread, word, causes) (int64, bool) { return 0, false }
func (explicitDetector) mark(*thread) uint64                         { return 0 }
func (explicitDetector) blockedSince(*thread, uint64) bool           { return false }
func (explicitDetector) reason(*thread, causes) Reason               { return ByReturn }
func (explicitDetector) periodNs() int64                             { return 0 }
func (explicitDetector) detach(*thread)                              {}
