package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
)

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// row is one measurement: ordered columns of numbers under a name.
type row struct {
	Name string
	Cols []string
	Vals map[string]float64
}

func (r *row) set(col string, v float64) {
	if r.Vals == nil {
		r.Vals = map[string]float64{}
	}
	r.Cols = append(r.Cols, col)
	r.Vals[col] = v
}

// report prints the medians over runs as a Markdown table.
func report(title string, all [][]row) {
	if *out != "" {
		f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		for i, rs := range all {
			for _, r := range rs {
				json.NewEncoder(f).Encode(map[string]any{"what": title, "run": i, "name": r.Name, "values": r.Vals})
			}
		}
	}
	if len(all) == 0 || len(all[0]) == 0 {
		return
	}
	cols := all[0][0].Cols
	fmt.Printf("| %s (median of %d) | %s |\n|---|%s\n", title, len(all), strings.Join(cols, " | "), strings.Repeat("---:|", len(cols)))
	for i, first := range all[0] {
		fmt.Printf("| %s |", first.Name)
		for _, c := range cols {
			var v []float64
			for _, rs := range all {
				v = append(v, rs[i].Vals[c])
			}
			fmt.Printf(" %s |", number(median(v)))
		}
		fmt.Println()
	}
}

func number(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
