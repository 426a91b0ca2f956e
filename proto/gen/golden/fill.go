package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// filler sets an object's fields at random: values that encoders get wrong are
// far more frequent than in life. It stops when the budget of scalars is spent,
// and visits fields in random order so that the budget does not favour any.
type filler struct {
	*rand.Rand
	budget int
	oneWay bool // also values that JSON cannot carry back
	nested int  // JSON schemas that we are in
}

func (f *filler) chance(p float64) bool { return f.Float64() < p }

func pick[T any](f *filler, from []T) T { return from[f.IntN(len(from))] }

func (f *filler) fillObject(o runtime.Object) {
	f.fillStruct(reflect.ValueOf(o).Elem())
	if m, err := meta.Accessor(o); err == nil {
		m.SetName(f.name())
		m.SetNamespace("")
		if !clusterScoped[reflect.TypeOf(o).Elem().Name()] {
			m.SetNamespace(pick(f, []string{"default", "kube-system", "a", "a-b"}))
		}
	}
}

func (f *filler) name() string {
	return fmt.Sprintf("%s-%04x", pick(f, []string{"web", "db", "a.b", "system:x", "z"}), f.IntN(1<<16))
}

func (f *filler) fillStruct(v reflect.Value) {
	for _, i := range f.Perm(v.NumField()) {
		if v.Field(i).CanSet() {
			f.fill(v.Field(i))
		}
	}
}

func (f *filler) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *metav1.TypeMeta:
		return
	case *metav1.ObjectMeta:
		f.fillStruct(v)
		p.ResourceVersion, p.SelfLink = "", "" // never stored
		return
	case *metav1.Time:
		*p = metav1.Time{Time: f.time(1)}
		return
	case *metav1.MicroTime:
		*p = metav1.MicroTime{Time: f.time(1_000_000)}
		return
	case *metav1.Duration:
		p.Duration = time.Duration(f.int64())
		return
	case *resource.Quantity:
		*p = resource.MustParse(f.quantity())
		return
	case *intstr.IntOrString:
		if *p = intstr.FromInt32(int32(f.int64())); f.chance(0.5) {
			*p = intstr.FromString(f.string())
		}
		if f.oneWay && f.chance(0.3) {
			*p = intstr.IntOrString{Type: p.Type, IntVal: 7, StrVal: "seven"}
		}
		return
	case *runtime.RawExtension:
		p.Raw = f.raw()
		return
	case *metav1.FieldsV1:
		p.Raw = f.raw()
		return
	case *apiextensionsv1.JSON:
		p.Raw = f.raw()
		return
	case *apiextensionsv1beta1.JSON:
		p.Raw = f.raw()
		return
	case *apiextensionsv1.JSONSchemaProps, *apiextensionsv1beta1.JSONSchemaProps:
		if f.nested++; f.nested <= 3 {
			f.fillStruct(v)
		}
		f.nested--
		return
	}
	if f.budget <= 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		f.budget--
		v.SetString(f.string())
	case reflect.Bool:
		f.budget--
		v.SetBool(f.chance(0.6))
	case reflect.Int32:
		f.budget--
		v.SetInt(int64(int32(f.int64())))
	case reflect.Int64:
		f.budget--
		v.SetInt(f.int64())
	case reflect.Float64:
		f.budget--
		v.SetFloat(f.float())
	case reflect.Pointer:
		if f.chance(0.7) {
			v.Set(reflect.New(v.Type().Elem()))
			if f.chance(0.85) { // else a pointer to zero, which is not the same as nil
				f.fill(v.Elem())
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f.budget--
			v.Set(reflect.ValueOf(f.bytes()).Convert(v.Type()))
		} else if f.chance(0.75) {
			v.Set(reflect.MakeSlice(v.Type(), f.count(), 4))
			for i := range v.Len() {
				f.fill(v.Index(i))
			}
		}
	case reflect.Map:
		if f.chance(0.75) {
			v.Set(reflect.MakeMap(v.Type()))
			for range f.count() {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				key.SetString(f.string())
				f.fill(value)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		f.fillStruct(v)
	default:
		panic(fmt.Sprintf("no values for %s", v.Type()))
	}
}

func (f *filler) count() int { return pick(f, []int{0, 1, 1, 1, 2, 2, 3}) }

var fragments = []string{"nginx", "a", "b", "kubernetes.io/name", "10.0.0.1", "<b>&amp;</b>", `"`, `\`, "\n", "\t\r", "\b\f", "\x00", "\x1f", "\x7f", "\u2028", "\u2029",
	"é", "日本", "\uff5e", "\U0001f600", "\U0010ffff", "\ufffd", "\u0085", "'", "{}", " ", "/"}

func (f *filler) string() string {
	if f.chance(0.1) {
		return ""
	}
	var b strings.Builder
	for range 1 + f.IntN(4) {
		b.WriteString(pick(f, fragments))
	}
	if f.oneWay && f.chance(0.2) {
		b.WriteString(pick(f, []string{"\xff", "\xe2\x80", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"}))
	}
	return b.String()
}

func (f *filler) bytes() []byte {
	if f.chance(0.2) {
		return pick(f, [][]byte{nil, {}})
	}
	b := make([]byte, f.IntN(40))
	for i := range b {
		b[i] = byte(f.Uint32())
	}
	return b
}

func (f *filler) int64() int64 {
	switch f.IntN(5) {
	case 0:
		return pick(f, []int64{0, 1, -1, 127, 128, -128, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, -(1<<53 + 1)})
	case 1:
		return int64(f.Uint64())
	default:
		return int64(f.IntN(100_000)) - 20_000
	}
}

var floats = []float64{0, math.Copysign(0, -1), 1, -1.5, 0.1, 1e20, 1e21, 123456789012345678, 1e-6, 9.9e-7, 1e-9, math.MaxFloat64, math.SmallestNonzeroFloat64, -1e300, 1 << 53, 1.0 / 3}

func (f *filler) float() float64 {
	if f.chance(0.5) {
		return pick(f, floats)
	}
	if x := math.Float64frombits(f.Uint64()); !math.IsNaN(x) && !math.IsInf(x, 0) {
		return x
	}
	return 0
}

// time gives the zero time, times before 1970 and up to the year 9999, in units of 1/perSecond s.
func (f *filler) time(perSecond int64) time.Time {
	if f.chance(0.15) {
		return time.Time{}
	}
	unix := 1_600_000_000 + f.Int64N(300_000_000)
	if f.chance(0.3) {
		unix = f.Int64N(253402300799+62135596799) - 62135596799
	}
	nanos := f.Int64N(perSecond) * (1_000_000_000 / perSecond)
	if f.chance(0.2) {
		nanos = 0
	}
	return time.Unix(unix, nanos)
}

var suffixes = []string{"", "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-3", "e9"}

func (f *filler) quantity() string {
	text := pick(f, []string{"", "", "", "-", "+"}) + fmt.Sprint(f.Uint64()>>f.IntN(64))
	if f.chance(0.4) {
		text += "." + fmt.Sprint(f.Uint64()>>(20+f.IntN(44)))
	}
	return text + pick(f, suffixes)
}

// raw is JSON as a client may have sent it; spaces only if they need not come back.
func (f *filler) raw() []byte {
	if f.chance(0.1) {
		return nil
	}
	f.budget--
	var b bytes.Buffer
	f.rawValue(&b, 0)
	return b.Bytes()
}

func (f *filler) rawValue(b *bytes.Buffer, depth int) {
	space := func() {
		if f.oneWay {
			b.WriteString(pick(f, []string{"", "", " ", "\n\t", "\r\n  "}))
		}
	}
	kind := f.IntN(8)
	if depth >= 3 {
		kind %= 4
	}
	if depth == 0 && f.chance(0.8) {
		kind = 7
	}
	switch {
	case kind == 0:
		b.WriteString(pick(f, []string{"null", "true", "false"}))
	case kind == 1:
		b.WriteString(pick(f, []string{"0", "-0", "1.0", "1E5", "9007199254740993", "-9223372036854775808", "0.10", "123456789012345678901234567890"}))
	case kind <= 3:
		f.rawString(b, f.string())
	case kind <= 5:
		b.WriteByte('[')
		for i := range f.count() {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			f.rawValue(b, depth+1)
			space()
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		seen := map[string]bool{}
		for range f.count() {
			key := strings.ToValidUTF8(pick(f, []string{"f:", "k:", ".", ""})+f.string(), "?")
			if seen[key] {
				continue
			}
			if len(seen) > 0 {
				b.WriteByte(',')
			}
			seen[key] = true
			space()
			f.rawString(b, key)
			space()
			b.WriteByte(':')
			space()
			f.rawValue(b, depth+1)
			space()
		}
		b.WriteByte('}')
	}
}

func (f *filler) rawString(b *bytes.Buffer, s string) {
	text := &bytes.Buffer{}
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(f.chance(0.3))
	encoder.Encode(s) // a string cannot fail
	out := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	if f.chance(0.3) {
		out = bytes.ReplaceAll(out, []byte(`é`), []byte(`\u00E9`)) // kept as it is written
		out = bytes.ReplaceAll(out, []byte(`\u2028`), []byte("\u2028"))
		out = bytes.ReplaceAll(out, []byte(`/`), []byte(`\/`))
	}
	b.Write(out)
}
