package main

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
)

// writers may change what others may only read.
const writers = "writers"

// behindFrontProxy makes the server believe a proxy that shows a certificate of caFile, as kube-apiserver does with
// --requestheader-client-ca-file: who asks is in X-Remote-* headers. Everybody else is anonymous.
func behindFrontProxy(cfg *genericapiserver.Config, caFile, allowedNames string) error {
	headers := options.RequestHeaderAuthenticationOptions{
		ClientCAFile:        caFile,
		UsernameHeaders:     []string{"x-remote-user"},
		UIDHeaders:          []string{"x-remote-uid"},
		GroupHeaders:        []string{"x-remote-group"},
		ExtraHeaderPrefixes: []string{"x-remote-extra-"},
	}
	if allowedNames != "" {
		headers.AllowedNames = strings.Split(allowedNames, ",")
	}
	proxy, err := headers.ToAuthenticationRequestHeaderConfig()
	if err != nil {
		return err
	}
	if err := cfg.Authentication.ApplyClientCert(proxy.CAContentProvider, cfg.SecureServing); err != nil {
		return err
	}
	proxied := headerrequest.NewDynamicVerifyOptionsSecure(proxy.CAContentProvider.VerifyOptions, proxy.AllowedClientNames,
		proxy.UsernameHeaders, proxy.UIDHeaders, proxy.GroupHeaders, proxy.ExtraHeaderPrefixes)
	cfg.Authentication.Authenticator = group.NewAuthenticatedGroupAdder(
		union.NewFailOnError(proxied, anonymous.NewAuthenticator(nil)))
	cfg.Authorization.Authorizer = authorizer.AuthorizerFunc(mayDo)
	return nil
}

func mayDo(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	groups := a.GetUser().GetGroups()
	if !a.IsResourceRequest() || a.IsReadOnly() || slices.Contains(groups, writers) ||
		slices.Contains(groups, user.SystemPrivilegedGroup) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}
