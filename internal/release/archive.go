package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"time"
)

// mode returns a file's permissions.
func (f file) mode() int64 {
	if f.program {
		return 0o755
	}
	return 0o644
}

// writeTar writes a compressed archive whose files are all in one folder, belong to root, and
// have one time.
func writeTar(path, folder string, files []file, date time.Time) error {
	return create(path, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression) // its header has no name and no time
		if err != nil {
			return err
		}
		t := tar.NewWriter(z)
		for _, f := range files {
			header := &tar.Header{
				Name: folder + "/" + f.name, Mode: f.mode(), Size: int64(len(f.content)), ModTime: date, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, Uname: "root", Gname: "root",
			}
			if err := t.WriteHeader(header); err != nil {
				return err
			}
			if _, err := t.Write(f.content); err != nil {
				return err
			}
		}
		if err := t.Close(); err != nil {
			return err
		}
		return z.Close()
	})
}

// writeZip writes the same as Windows reads it.
func writeZip(path, folder string, files []file, date time.Time) error {
	return create(path, func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, f := range files {
			header := &zip.FileHeader{Name: folder + "/" + f.name, Method: zip.Deflate, Modified: date}
			header.SetMode(os.FileMode(f.mode()))
			w, err := z.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := w.Write(f.content); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

func create(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	return f.Close()
}
