-- A database of MariaDB or MySQL for Kernelscope, and a user with the rights that its server needs.
-- Change the password, and the host if the database is on another machine than the server:
--   mariadb < grants.sql
CREATE DATABASE kernelscope CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER 'kernelscope'@'localhost' IDENTIFIED BY 'change this password';
-- Rows are stored, read and removed by age; a start creates and alters tables and their indexes.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP
  ON kernelscope.* TO 'kernelscope'@'localhost';
