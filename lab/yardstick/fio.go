package yardstick

import "github.com/syslet/syslet/lab/files"

// fioPrograms are fio's engines. They serve nothing: the experiments on file work
// have "syslet files" start them.
var fioPrograms = []Program{
	fio("psync", "fio, a thread for each op in flight, plain calls"),
	fio("libaio", "fio on Linux AIO"),
	fio("io_uring", "fio on io_uring"),
	fio("io_uring-fixed", "fio on io_uring, buffers and file registered"),
}

// FioName is the name here of one of files.Engines.
func FioName(engine string) string { return fioPrefix + engine }

const fioPrefix = "fio-"

func fio(engine, what string) Program {
	return Program{Name: FioName(engine), What: what, refused: files.FioAbsent}
}
