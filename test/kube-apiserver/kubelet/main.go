// Kubelet serves the streams that kube-apiserver asks kubelets for (exec, attach, logs, port-forward) with the code that real
// ones use for them. There are no containers: commands run on this machine, and ports are those of loopback. Its only line
// says where it listens; /open says how many streams are.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idleTimeout     = time.Hour
	creationTimeout = 30 * time.Second
	logLines        = 3
)

func main() {
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var open atomic.Int64
	streams := http.NewServeMux()
	streams.HandleFunc("/exec/{namespace}/{pod}/{container}", serveExec)
	streams.HandleFunc("/attach/{namespace}/{pod}/{container}", serveAttach)
	streams.HandleFunc("/portForward/{namespace}/{pod}", servePortForward)
	streams.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", serveLogs)
	all := http.NewServeMux()
	all.HandleFunc("/open", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, open.Load()) })
	all.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Add(-1)
		streams.ServeHTTP(w, r)
	})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	// Streams leave HTTP/1.1; HTTP/2 has no such thing.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	log.Fatal(http.Serve(tls.NewListener(listener, config), all))
}

type machine struct{}

func serveExec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, machine{}, r.PathValue("pod"), "", r.PathValue("container"), r.Form["command"], options,
		idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (machine) ExecInContainer(_ context.Context, _, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser,
	isTerminal bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if isTerminal {
		go tellSizes(out, sizes)
	}
	process := exec.Command(command[0], command[1:]...)
	if out != nil {
		process.Stdout = out
	}
	if errOut != nil {
		process.Stderr = errOut
	}
	if in != nil {
		pipe, err := process.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			_ = pipe.Close()
		}()
	}
	err := process.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return utilexec.CodeExitError{Err: err, Code: ended.ExitCode()}
	}
	return err
}

// Commands have pipes. What a terminal would be told of its size is said by a line.
func tellSizes(out io.Writer, sizes <-chan remotecommand.TerminalSize) {
	for size := range sizes {
		if _, err := fmt.Fprintf(out, "size %dx%d\n", size.Width, size.Height); err != nil {
			return
		}
	}
}

func serveAttach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, machine{}, r.PathValue("pod"), "", r.PathValue("container"), options,
		idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (machine) AttachContainer(_ context.Context, _, _, _ string, in io.Reader, out, _ io.WriteCloser, isTerminal bool,
	sizes <-chan remotecommand.TerminalSize) error {
	if isTerminal {
		go tellSizes(out, sizes)
	}
	if _, err := io.WriteString(out, "attached\n"); err != nil || in == nil {
		return err
	}
	_, err := io.Copy(out, in)
	return err
}

func servePortForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, machine{}, r.PathValue("pod"), "", options, idleTimeout, creationTimeout,
		portforward.SupportedProtocols)
}

func (machine) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	target, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer target.Close()
	go func() {
		_, _ = io.Copy(target, stream)
		_ = target.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, target)
	return err
}

func serveLogs(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	follows := r.FormValue("follow") == "true"
	for line := 0; follows || line < logLines; line++ {
		fmt.Fprintf(w, "line %d\n", line)
		if !follows {
			continue
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
