// Command listdiff fetches the same LIST from two servers and compares it object
// by object: decoded by client-go's scheme (-mode objects, in protobuf), or as the
// raw text of each item (-mode bytes, in JSON). It writes each difference as a
// JSON object a line, and a summary as the last line. Exit status: 0 equal,
// 1 different, 2 failed.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// list is a LIST response taken apart.
type list struct {
	resourceVersion string
	envelope        string // -mode bytes: the text around the items
	keys            []string
	objects         map[string]runtime.Object
	texts           map[string][]byte
}

type difference struct {
	Key  string `json:"key,omitempty"`
	What string `json:"what"`
	A    string `json:"a,omitempty"`
	B    string `json:"b,omitempty"`
}

type summary struct {
	Type             string `json:"type"`
	Equal            bool   `json:"equal"`
	ItemsA           int    `json:"itemsA"`
	ItemsB           int    `json:"itemsB"`
	Differences      int    `json:"differences"`
	ResourceVersionA string `json:"resourceVersionA"`
	ResourceVersionB string `json:"resourceVersionB"`
}

type client struct {
	http.Client
	token  string
	accept string
	query  url.Values
}

func main() {
	a := flag.String("a", "", "base URL of one server")
	b := flag.String("b", "", "base URL of the other")
	path := flag.String("path", "/api/v1/pods", "path of the LIST")
	rv := flag.String("rv", "", "compare the state at exactly this resourceVersion")
	query := flag.String("query", "", "more of the query, as limit=500&labelSelector=a%3Db")
	mode := flag.String("mode", "objects", "objects (protobuf, decoded) or bytes (JSON, raw)")
	insecure := flag.Bool("insecure", false, "accept any certificate")
	token := flag.String("token", "", "bearer token")
	most := flag.Int("max", 20, "differences to write")
	flag.Parse()
	values, err := url.ParseQuery(*query)
	check(err)
	if *rv != "" {
		values.Set("resourceVersion", *rv)
		values.Set("resourceVersionMatch", "Exact")
	}
	c := &client{token: *token, accept: runtime.ContentTypeProtobuf, query: values}
	parse := parseObjects
	if *mode == "bytes" {
		c.accept, parse = runtime.ContentTypeJSON, parseTexts
	}
	c.Transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: *insecure}}
	fetch := func(base string) list {
		body, err := c.get(base, *path)
		check(err)
		l, err := parse(body)
		if err != nil {
			check(fmt.Errorf("%s: %w", base, err))
		}
		return l
	}
	left, right := fetch(*a), fetch(*b)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	count := 0
	for _, d := range compare(left, right) {
		if count++; count <= *most {
			check(out.Encode(d))
		}
	}
	check(out.Encode(summary{"summary", count == 0, len(left.keys), len(right.keys), count, left.resourceVersion, right.resourceVersion}))
	if count > 0 {
		os.Exit(1)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "listdiff:", err)
		os.Exit(2)
	}
}

func (c *client) get(base, path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(base, "/")+path+"?"+c.query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", c.accept)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if have := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(have, c.accept) {
		return nil, fmt.Errorf("%s answers %s, %s: %.300q", request.URL, response.Status, have, body)
	}
	return body, nil
}

func parseObjects(body []byte) (list, error) {
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return list{}, err
	}
	envelope, err := meta.ListAccessor(decoded)
	if err != nil {
		return list{}, err
	}
	items, err := meta.ExtractList(decoded)
	if err != nil {
		return list{}, err
	}
	l := list{resourceVersion: envelope.GetResourceVersion(), objects: map[string]runtime.Object{}}
	l.envelope = fmt.Sprintf("%s continue=%v remainingItemCount=%v", decoded.GetObjectKind().GroupVersionKind(), envelope.GetContinue() != "", text(envelope.GetRemainingItemCount()))
	for _, o := range items {
		l.keys = append(l.keys, keyOf(o.(metav1.Object)))
		l.objects[l.keys[len(l.keys)-1]] = o
	}
	return l, nil
}

// parseTexts keeps every item's text as it is; a decoder's RawMessage is a copy of the input.
func parseTexts(body []byte) (list, error) {
	var envelope struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return list{}, err
	}
	start := bytes.Index(body, []byte(`"items":[`))
	if start < 0 {
		return list{}, fmt.Errorf("no items: %.300q", body)
	}
	l := list{resourceVersion: envelope.Metadata.ResourceVersion, texts: map[string][]byte{}}
	// Compact output has nothing but commas between the items, so the lengths must add up.
	end := start + len(`"items":[`)
	for i, item := range envelope.Items {
		if i > 0 {
			end++
		}
		end += len(item)
		var o metav1.PartialObjectMetadata
		if err := json.Unmarshal(item, &o); err != nil {
			return list{}, err
		}
		l.keys = append(l.keys, keyOf(&o))
		l.texts[keyOf(&o)] = item
	}
	if end > len(body) || !bytes.HasPrefix(body[end:], []byte("]")) {
		return list{}, fmt.Errorf("the items are not written compactly")
	}
	if token := envelope.Metadata.Continue; token != "" {
		body = bytes.Replace(body, []byte(token), []byte("TOKEN"), 1) // opaque: servers may differ
		start, end = bytes.Index(body, []byte(`"items":[`)), end+len("TOKEN")-len(token)
	}
	l.envelope = string(body[:start]) + " ... " + string(body[end:])
	return l, nil
}

func compare(a, b list) []difference {
	var found []difference
	if a.envelope != b.envelope {
		found = append(found, difference{What: "envelope", A: a.envelope, B: b.envelope})
	}
	if a.resourceVersion != b.resourceVersion {
		found = append(found, difference{What: "resourceVersion", A: a.resourceVersion, B: b.resourceVersion})
	}
	if !slices.Equal(a.keys, b.keys) {
		i := 0
		for i < min(len(a.keys), len(b.keys)) && a.keys[i] == b.keys[i] {
			i++
		}
		found = append(found, difference{What: fmt.Sprintf("order of items, from index %d", i), A: at(a.keys, i), B: at(b.keys, i)})
	}
	for _, key := range a.keys {
		switch {
		case b.objects[key] == nil && b.texts[key] == nil:
			found = append(found, difference{Key: key, What: "only in a"})
		case a.objects != nil && !equality.Semantic.DeepEqual(a.objects[key], b.objects[key]):
			x, y := text(a.objects[key]), text(b.objects[key])
			found = append(found, firstDifference(key, "object", x, y))
		case a.texts != nil && !bytes.Equal(a.texts[key], b.texts[key]):
			found = append(found, firstDifference(key, "text", string(a.texts[key]), string(b.texts[key])))
		}
	}
	for _, key := range b.keys {
		if a.objects[key] == nil && a.texts[key] == nil {
			found = append(found, difference{Key: key, What: "only in b"})
		}
	}
	return found
}

func firstDifference(key, what, a, b string) difference {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	part := func(s string) string { return s[max(0, min(i, len(s))-60):min(len(s), i+120)] }
	return difference{Key: key, What: fmt.Sprintf("%s, at offset %d of its JSON", what, i), A: part(a), B: part(b)}
}

func keyOf(m metav1.Object) string {
	if m.GetNamespace() == "" {
		return m.GetName()
	}
	return m.GetNamespace() + "/" + m.GetName()
}

func at(keys []string, i int) string {
	if i < len(keys) {
		return keys[i]
	}
	return "(end)"
}

func text(v any) string {
	b, err := json.Marshal(v)
	check(err)
	return string(b)
}
