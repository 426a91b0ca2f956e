package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

type quantityCase struct {
	Input     string `json:"input"`
	Canonical string `json:"canonical,omitempty"`
	Error     bool   `json:"error,omitempty"`
}

// numberCase has its number as text: it may not fit into a double.
type numberCase struct {
	Input string `json:"input"`
	Text  string `json:"text"`
}

type timeCase struct {
	Seconds string          `json:"seconds"`
	Nanos   int64           `json:"nanos"`
	Time    json.RawMessage `json:"time"`
	Micro   json.RawMessage `json:"microTime"`
}

type stringCase struct {
	Bytes []byte `json:"bytes"`
	JSON  string `json:"json"`
}

var quantityExamples = []string{"0", "1", "-1", "+1", "1000m", "1500m", "0.5Gi", "1.5Gi", "1024Mi", "1000k", "1000", "100000000", "1e3", "1.1e3", "1e19", "0.1Mi", "0.1n", "1000000Ki",
	"1023", "1023Ki", "1024Ki", "1025Ki", "1024", "0Ki", "0m", "-0", "0e3", "00100", "1.", ".5", ".5Gi", "-.5", "1.50", "1.000", "1.0001", "100m", "999m", "1e-3", "1E3", "1E", "1Ei", "1E-9", "1e-10", "12e6", "1.5e1",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "9223372036854775807Ki", "8Ei", "16Ei", "10E", "100E", "0.0000000001", "1.0000000001", "123456789.123456789", "0.001Ki", "0.3Ki",
	"1.5Ki", "-1.5Gi", "5n", "5u", "1000n", "1000u", "999999u", "1000000000000", "1000000000000000000000", "3.14159265358979", "1e18", "1e24", "1e-24", "2e2", "20e1", "0.1e1", "1k", "1M", "1G", "1T", "1P", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi",
	"", " ", " 1", "1 ", "a", "1a", "1.2.3", "--1", "+-1", "1e", "1e+", "1e+3", "1e1.5", "1ki", "1K", "1mi", "1KI", "1EI", "e3", "Ki", ".", "-", "+", "1e3Ki", "1Kie3", "0x10", "1_000", "Inf", "NaN", "١"}

// scalars is one document of inputs and what Go makes of them.
func scalars() any {
	f := &filler{Rand: rand.New(rand.NewPCG(1, hash("scalars"))), budget: math.MaxInt, oneWay: true}
	var quantities []quantityCase
	for i := range len(quantityExamples) + 300 {
		input := ""
		if i < len(quantityExamples) {
			input = quantityExamples[i]
		} else {
			input = f.quantity()
		}
		q, err := resource.ParseQuantity(input)
		c := quantityCase{Input: input, Error: err != nil}
		if err == nil {
			json.Unmarshal(text(q), &c.Canonical) // a quantity is a JSON string
		}
		quantities = append(quantities, c)
	}

	var ages, shortAges []numberCase
	for _, s := range []int64{-100, -2, -1, 0, 1, 59, 60, 61, 90, 119, 120, 121, 179, 180, 300, 599, 600, 601, 659, 660, 3599, 3600, 7199, 7200, 10799, 10800, 10801, 10860, 14400, 28799, 28800, 28801, 86399, 86400,
		172799, 172800, 172801, 176400, 259200, 691199, 691200, 691201, 700000, 31535999, 31536000, 63071999, 63072000, 63158400, 70000000, 94608000, 252287999, 252288000, 252288001, 300000000, 1_000_000_000} {
		ages = append(ages, numberCase{fmt.Sprint(s), duration.HumanDuration(time.Duration(s) * time.Second)})
		shortAges = append(shortAges, numberCase{fmt.Sprint(s), duration.ShortHumanDuration(time.Duration(s) * time.Second)})
	}

	var durations []numberCase
	for _, n := range []int64{0, 1, -1, 999, 1000, 1500, 999_999, 1_000_000, 1_000_001, 999_999_999, 1_000_000_000, 1_500_000_000, 59_999_999_999, 60_000_000_000, -61_000_000_000, 3_600_000_000_000, 3_661_001_002_003,
		86_400_000_000_000, math.MaxInt64, math.MinInt64} {
		durations = append(durations, numberCase{fmt.Sprint(n), time.Duration(n).String()})
	}

	var times []timeCase
	for i := range 60 {
		t := f.time(1_000_000)
		if i < 8 {
			t = []time.Time{time.Unix(0, 0), time.Unix(-1, 0), time.Unix(-1, 999_999_000), time.Unix(1, 1000), time.Unix(-62135596800, 1000), time.Unix(-62135596799, 0), time.Unix(253402300799, 999_999_000), time.Unix(951782400, 0)}[i]
		}
		if t.IsZero() {
			continue // has no seconds: an empty message
		}
		times = append(times, timeCase{fmt.Sprint(t.Unix()), int64(t.Nanosecond()), text(metav1.Time{Time: t}), text(metav1.MicroTime{Time: t})})
	}

	var numbers []numberCase
	for range 100 {
		x := f.float()
		numbers = append(numbers, numberCase{fmt.Sprintf("%016x", math.Float64bits(x)), string(text(x))})
	}
	var strings []stringCase
	for range 100 {
		s := f.string()
		strings = append(strings, stringCase{[]byte(s), string(text(s))})
	}
	return map[string]any{"quantities": quantities, "humanDurations": ages, "shortHumanDurations": shortAges, "durations": durations, "times": times, "floats": numbers, "strings": strings}
}

func text(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
