// Command kms-plugin is a KMS v2 plugin for tests, over k8s.io/kms's own gRPC service. It keeps key encryption keys in
// its flags, and writes each call as a line of JSON to stdout.
//
//	kms-plugin -socket /run/kms.sock -keys 2=BASE64,1=BASE64
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/kms/pkg/service"
)

// annotation marks what this plugin has encrypted: Decrypt insists that it is handed back.
const annotation = "cipher.kms-plugin.listwatch.dev"

type plugin struct {
	keys    map[string]cipher.AEAD
	current string
	healthz string
	delay   time.Duration
}

func (p *plugin) Status(context.Context) (*service.StatusResponse, error) {
	p.record("Status", p.current)
	return &service.StatusResponse{Version: "v2", Healthz: p.healthz, KeyID: p.current}, nil
}

func (p *plugin) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	p.record("Encrypt", p.current)
	key := p.keys[p.current]
	nonce := make([]byte, key.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return &service.EncryptResponse{
		Ciphertext:  key.Seal(nonce, nonce, data, nil),
		KeyID:       p.current,
		Annotations: map[string][]byte{annotation: []byte("aes-gcm")},
	}, nil
}

func (p *plugin) Decrypt(_ context.Context, uid string, request *service.DecryptRequest) ([]byte, error) {
	p.record("Decrypt", request.KeyID)
	time.Sleep(p.delay)
	if uid == "" {
		return nil, errors.New("the call has no uid")
	}
	if string(request.Annotations[annotation]) != "aes-gcm" {
		return nil, errors.New("the annotation was not handed back")
	}
	key, found := p.keys[request.KeyID]
	if !found {
		return nil, fmt.Errorf("there is no key %q", request.KeyID)
	}
	if len(request.Ciphertext) < key.NonceSize() {
		return nil, errors.New("the ciphertext is too short")
	}
	return key.Open(nil, request.Ciphertext[:key.NonceSize()], request.Ciphertext[key.NonceSize():], nil)
}

func (p *plugin) record(method, keyID string) {
	line, _ := json.Marshal(map[string]string{"method": method, "keyID": keyID})
	fmt.Println(string(line))
}

func (p *plugin) addKeys(list string) error {
	for _, item := range strings.Split(list, ",") {
		id, text, _ := strings.Cut(item, "=")
		secret, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		block, err := aes.NewCipher(secret)
		if err != nil {
			return err
		}
		if p.keys[id], err = cipher.NewGCM(block); err != nil {
			return err
		}
		if p.current == "" {
			p.current = id
		}
	}
	return nil
}

func main() {
	socket := flag.String("socket", "", "path of the unix socket to listen on")
	keys := flag.String("keys", "", "ID=BASE64,...: the first one encrypts")
	p := &plugin{keys: map[string]cipher.AEAD{}}
	flag.StringVar(&p.healthz, "healthz", "ok", "what Status says")
	flag.DurationVar(&p.delay, "delay", 0, "how long each Decrypt takes")
	flag.Parse()
	err := p.addKeys(*keys)
	if err == nil {
		os.Remove(*socket) // of a process that was killed
		server := service.NewGRPCService(*socket, time.Second, p)
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
		go func() {
			<-ended
			server.Close()
			os.Exit(0)
		}()
		err = server.ListenAndServe()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
