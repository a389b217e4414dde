// Command several asks the Keywards at the given addresses over and over, until standard input ends.
// It tells how many answers there were, and ends with an error at the first one that is missing or
// wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	authorizer "keyward.example/go"
	"keyward.example/go/keywardv1"
)

const (
	askers   = 4
	patience = 30 * time.Second
	// Answers between two lines.
	step = 10
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addresses []string) error {
	names := manual.NewBuilderWithScheme("several")
	var state resolver.State
	for _, address := range addresses {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	names.InitialState(state)
	options := append(authorizer.Spread(), grpc.WithResolvers(names), grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection, err := grpc.NewClient("several:///keyward", options...)
	if err != nil {
		return err
	}
	defer connection.Close()

	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	var answers atomic.Uint64
	errs := make(chan error, askers)
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			if err := ask(ctx, authorizer.New(connection, patience), &answers); err != nil {
				errs <- err
				stop()
			}
		})
	}
	asking.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// ask asks what is allowed and what is denied, in turn.
func ask(ctx context.Context, who *authorizer.Authorizer, answers *atomic.Uint64) error {
	for tenant := 42; ctx.Err() == nil; tenant = 85 - tenant {
		question := &keywardv1.AuthorizeRequest{
			Principal:         &keywardv1.Principal{Arn: "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"},
			Action:            "kms:Decrypt",
			KeyId:             "alias/orders",
			EncryptionContext: map[string]string{"tenant": fmt.Sprint(tenant)},
		}
		// What was begun is finished, whenever it is told to stop.
		err := who.Authorize(context.WithoutCancel(ctx), question)
		if tenant == 42 && err != nil || tenant == 43 && !errors.Is(err, authorizer.ErrDenied) {
			return fmt.Errorf("after %d answers, tenant %d: %w", answers.Load(), tenant, err)
		}
		if count := answers.Add(1); count%step == 0 {
			fmt.Println(count)
		}
	}
	return nil
}
