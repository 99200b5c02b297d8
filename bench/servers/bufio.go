// Go's bufio, the compiled upper bound: `bufio <kind>`. It prints its port.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

const block = 65536

type stream struct {
	*bufio.Reader
	*bufio.Writer
}

// Sends what was written once the next read would have to wait.
func (s stream) flushIfDry() error {
	if s.Reader.Buffered() > 0 {
		return nil
	}
	return s.Flush()
}

func lines(s stream) error {
	for {
		line, err := s.ReadSlice('\n')
		if err != nil {
			return err
		}
		s.Writer.Write(line)
		if err := s.flushIfDry(); err != nil {
			return err
		}
	}
}

func frames(s stream) error {
	var frame []byte
	for {
		header, err := s.Peek(4)
		if err != nil {
			return err
		}
		length := 4 + int(binary.BigEndian.Uint32(header))
		if cap(frame) < length {
			frame = make([]byte, length)
		}
		if _, err := io.ReadFull(s.Reader, frame[:length]); err != nil {
			return err
		}
		s.Writer.Write(frame[:length])
		if err := s.flushIfDry(); err != nil {
			return err
		}
	}
}

func handle(conn net.Conn, kind string) {
	defer conn.Close()
	switch s := (stream{bufio.NewReaderSize(conn, block), bufio.NewWriterSize(conn, block)}); kind {
	case "lines":
		lines(s)
	case "frames":
		frames(s)
	default:
		// Not io.Copy(conn, conn): that would be splice(), which sees no byte.
		buffer := make([]byte, block)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go handle(conn, os.Args[1])
	}
}
