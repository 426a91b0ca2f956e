// Command gunzip gets a URL compressed and as it is, and prints what Go's gzip reader makes of the one and the digest of both.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

type result struct {
	Encoding   string `json:"encoding"`
	Compressed int    `json:"compressed"`
	Bytes      int    `json:"bytes"`
	Digest     string `json:"digest"`
	Plain      string `json:"plain"`
}

func get(url, accept, encoding string) (string, []byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", encoding) // set by hand, so the transport leaves the body alone
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	return response.Header.Get("Content-Encoding"), body, err
}

func run(url, accept string) (*result, error) {
	encoding, body, err := get(url, accept, "gzip")
	if err != nil {
		return nil, err
	}
	// A bytes.Reader is read byte by byte: what follows the member is left in it.
	rest := bytes.NewReader(body)
	reader, err := gzip.NewReader(rest)
	if err != nil {
		return nil, err
	}
	reader.Multistream(false)
	whole, err := io.ReadAll(reader) // checks the CRC and the length
	if err != nil {
		return nil, err
	}
	if rest.Len() > 0 {
		return nil, fmt.Errorf("%d bytes follow the gzip member", rest.Len())
	}
	_, plain, err := get(url, accept, "identity")
	if err != nil {
		return nil, err
	}
	return &result{encoding, len(body), len(whole), digest(whole), digest(plain)}, nil
}

func digest(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return hex.EncodeToString(sum[:])
}

func main() {
	result, err := run(os.Args[1], os.Args[2])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
