-- A database of MariaDB or MySQL for Kernelscope, and a user with the rights that its server needs.
-- Change the password, and the host if the database is on another machine than the server:
--   mariadb < grants.sql
CREATE DATABASE kernelscope CHARACTER SET utf8mb4;
CREATE USER 'kernelscope'@'localhost' IDENTIFIED BY 'change this password';
-- Rows are stored, read and removed by age. A start, `kscope migrate` and changed categories create and
-- alter tables, their indexes and their views; a table is locked while it is replaced.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, CREATE VIEW, LOCK TABLES
  ON kernelscope.* TO 'kernelscope'@'localhost';
