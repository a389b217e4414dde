// Checks Grafana dashboards against the types of Grafana's own SDK: unknown members, wrong types and values
// that are out of bounds are refused.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// Read strictly, a dashboard is not filled in whole, and where nothing is wrong it gives an empty list of
	// errors, which is no nil.
	var strict, found dashboard.Dashboard
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	return found.Validate()
}
