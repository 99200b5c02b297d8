// The load: sends batches of messages over many connections, waits for each batch to come back,
// and prints how many messages did, as JSON. Its one argument is JSON, too: see load.ts.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

type load struct {
	Port        int
	Message     []byte // Base64 in JSON.
	Size        int    // The message is repeated up to this many bytes.
	Depth       int    // Messages in a batch.
	Connections int
	Seconds     float64
	Authority   string // Whose certificates to trust, in PEM; without it there is no TLS.
	Idle        bool   // Opens the connections, and holds them until stdin ends.
}

// Up to this many bytes fit into the sockets' buffers, whatever the server does meanwhile.
const inFlight = 65536

// Of so many connections, one says something: the server has accepted all before it.
const acceptedEvery = 64

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var l load
	check(json.Unmarshal([]byte(os.Args[1]), &l))
	batch := make([]byte, 0, l.Size*l.Depth)
	for i := 0; i < l.Depth; i++ {
		batch = append(batch, l.message()...)
	}

	conns := make([]net.Conn, l.Connections)
	for i := range conns {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Port))
		check(err)
		if l.Authority != "" {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM([]byte(l.Authority))
			conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "localhost"})
		}
		conns[i] = conn
		if (i+1)%acceptedEvery == 0 || i == len(conns)-1 {
			echo(conn, l.message(), make([]byte, l.Size), true)
		}
	}
	if l.Idle {
		fmt.Println("{}")
		io.Copy(io.Discard, os.Stdin)
		return
	}

	messages, seconds := run(conns, batch, l)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"messages": messages, "seconds": seconds})
}

// The message, with its last byte at the end, so that a line stays a line.
func (l load) message() []byte {
	if len(l.Message) == l.Size {
		return l.Message
	}
	message := bytes.Repeat(l.Message[:1], l.Size)
	message[l.Size-1] = l.Message[len(l.Message)-1]
	return message
}

func run(conns []net.Conn, batch []byte, l load) (int, float64) {
	var done sync.WaitGroup
	counts := make([]int, len(conns))
	start := time.Now()
	end := start.Add(time.Duration(l.Seconds * float64(time.Second)))
	for i, conn := range conns {
		done.Add(1)
		go func(i int, conn net.Conn) {
			defer done.Done()
			back := make([]byte, len(batch))
			for more := true; more; more = time.Now().Before(end) {
				echo(conn, batch, back, counts[i] == 0)
				counts[i] += l.Depth
			}
		}(i, conn)
	}
	done.Wait()
	seconds := time.Since(start).Seconds()
	messages := 0
	for _, count := range counts {
		messages += count
	}
	return messages, seconds
}

// Sends a batch and waits for it to come back; compares it when told to.
func echo(conn net.Conn, batch []byte, back []byte, compare bool) {
	if len(batch) <= inFlight {
		_, err := conn.Write(batch)
		check(err)
	} else {
		go func() {
			_, err := conn.Write(batch)
			check(err)
		}()
	}
	_, err := io.ReadFull(conn, back)
	check(err)
	if compare && !bytes.Equal(batch, back) {
		check(fmt.Errorf("what came back is not what was sent"))
	}
}
