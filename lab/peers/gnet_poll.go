//go:build poll_opt

package main

const gnetPollOpt = true
