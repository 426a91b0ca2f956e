// Package connect makes client-go configurations from the flags that all programs share.
package connect

import (
	"flag"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// Flags say which server to talk to and how.
type Flags struct {
	Server   string
	Insecure bool
	Accept   string
	Http     int
	Token    string
	CAFile   string
	CertFile string
	KeyFile  string
}

// Register adds the flags to the command line.
func Register() *Flags {
	f := &Flags{}
	flag.StringVar(&f.Server, "server", "", "base URL, http or https")
	flag.BoolVar(&f.Insecure, "insecure", false, "accept any certificate")
	flag.StringVar(&f.Accept, "accept", "protobuf", "protobuf or json")
	flag.IntVar(&f.Http, "http", 2, "1: no HTTP/2 even where the server offers it")
	flag.StringVar(&f.Token, "token", "", "bearer token")
	flag.StringVar(&f.CAFile, "ca-file", "", "authority of the server's certificate")
	flag.StringVar(&f.CertFile, "cert-file", "", "certificate of the client")
	flag.StringVar(&f.KeyFile, "key-file", "", "key of -cert-file")
	return f
}

// Config is what client-go needs, without a limit on requests per second.
func (f *Flags) Config(userAgent string) (*rest.Config, error) {
	config := &rest.Config{Host: f.Server, QPS: -1, UserAgent: "listwatch-test/" + userAgent, BearerToken: f.Token}
	config.TLSClientConfig = rest.TLSClientConfig{Insecure: f.Insecure, CAFile: f.CAFile, CertFile: f.CertFile, KeyFile: f.KeyFile}
	switch f.Accept {
	case "protobuf":
		config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	case "json":
		config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	default:
		return nil, fmt.Errorf("-accept %q: protobuf or json", f.Accept)
	}
	if f.Http == 1 {
		config.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return config, nil
}
