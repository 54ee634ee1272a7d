package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
)

// open makes a server under a model, or skips the test if this system refuses it.
func open(t testing.TB, model string, o runtime.Options) *runtime.Server {
	t.Helper()
	if err := models.Refused(model); err != nil {
		t.Skip(err)
	}
	srv, err := models.Open(model, o)
	require.NoError(t, err)
	return srv
}
