//go:build !poll_opt

package main

// gnetPollOpt tells whether gnet was built with its faster poller.
const gnetPollOpt = false
