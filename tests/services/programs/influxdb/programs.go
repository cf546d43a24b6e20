//go:build tools

// Package programs names what is built here, so that go.sum covers it.
package programs

import (
	_ "github.com/influxdata/influxdb/v2/cmd/influxd"
	_ "github.com/influxdata/pkg-config"
)
